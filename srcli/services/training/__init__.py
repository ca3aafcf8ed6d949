"""Training a network on a folder of pictures: from the first look at it to weights to use.

request      what `srcli finetune` is asked for, as a training file
pictures     survey, split, pairs, and the feed of the loop
networks     the network to train, and those that help: discriminator, VGG19, teacher
assembly     all objects of a run
validation   scores and sample sheets
folder       checkpoints, logs and weights of a run
run          the whole of it
"""
