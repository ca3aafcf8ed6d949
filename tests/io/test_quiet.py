"""Warnings are ignored in blocks of several threads; behind the last all is as it was before."""

import threading
import warnings

from srcli.io.quiet import no_warnings

SECONDS = 30


def test_who_leaves_first_lets_no_warning_through_to_who_is_still_inside():
    is_in, may_leave = threading.Event(), threading.Event()

    def other():
        with no_warnings():
            is_in.set()
            may_leave.wait(SECONDS)

    thread = threading.Thread(target=other)
    with warnings.catch_warnings(action="error"):
        before = list(warnings.filters)
        thread.start()
        assert is_in.wait(SECONDS)
        with no_warnings():
            may_leave.set()
            thread.join(SECONDS)
            warnings.warn("nobody hears", stacklevel=1)
        assert warnings.filters == before
