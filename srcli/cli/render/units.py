"""Sizes and counts as people say them, in every command the same."""


def file_size(size: int | None) -> str:
    """Bytes, in units of a thousand.

    >>> [file_size(each) for each in (7_289, 770_000, 67_040_989, 3_456_789_000, None)]
    ['7.3 kB', '0.77 MB', '67.0 MB', '3.5 GB', '-']
    """
    if size is None:
        return "-"
    if size < 100_000:
        return f"{size / 1e3:.1f} kB"
    if size < 10**9:
        return f"{size / 1e6:.{2 if size < 10**7 else 1}f} MB"
    return f"{size / 1e9:.1f} GB"


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "picture"), counted(2, "picture")
    ('1 picture', '2 pictures')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
