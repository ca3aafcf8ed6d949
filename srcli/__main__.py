"""The command line's entry: `srcli`, or `python -m srcli`."""

# ruff: noqa: E402
import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it loads, Ctrl-C shall end it without a word

from srcli.inference.large_pages import prefer_large_pages

prefer_large_pages()  # before anything makes a tensor

from srcli.cli.app import main

if __name__ == "__main__":
    main()
