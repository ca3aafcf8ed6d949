"""Pictures on a Ray cluster: workers do them, this process keeps the books.

line     a thread for each picture under way: journal, worker, journal
crew     the workers: started, lent, buried, replaced
worker   what runs on the cluster: one network, several pictures on their way through it
connect  finding a cluster, and saying within seconds that there is none
"""
