"""Lengths of time for people."""


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> [duration(each) for each in (42, 200, 9000)]
    ['42 s', '3 min', '2 h 30 min']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
