"""The pickles of PyTorch files, read without building anything of what they describe."""

from __future__ import annotations

import os
import pickletools
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO

from srcli.io.pickle_values import (
    Opaque,
    PickleError,
    Plain,
    Stored,
    Value,
    View,
    called,
    dotted,
    fill,
    named,
    stored,
)
from srcli.io.quiet import no_warnings

LONGEST_BYTES = 64_000_000
MOST_TENSORS = 20_000  # of one file; the largest networks of the field have 4,000
OPERATIONS_PER_TENSOR = 40  # of a pickle; about 30 are usual
_LOOKED_AT = 200_000  # operations, for names to tell
_DEEPEST = 64
_MOST_BRANCHES = 200_000


def names_in(stream: IO[bytes]) -> Iterator[str]:
    """The functions and classes that one pickle asks for, as module.name; best effort on damage.

    Protocol 4 takes module and name from the stack: they are the last two strings that were pushed
    or recalled from the memo, because nothing else stands between in what `pickle` writes.
    The stream stands behind the pickle then, or at its own end where the pickle is damaged.
    """
    strings = _Strings()
    with no_warnings():  # about the escapes in damaged strings
        try:
            for operation, value, _ in islice(pickletools.genops(stream), _LOOKED_AT):
                if operation.name in {"GLOBAL", "INST"}:
                    yield dotted(str(value))
                elif operation.name == "STACK_GLOBAL":
                    yield ".".join(strings.pushed[-2:])
                else:
                    strings.follow(operation.name, value)
        except (ValueError, IndexError):  # damaged: keep what was found
            stream.seek(0, os.SEEK_END)


class _Strings:
    """The strings of a pickle in the order in which they are pushed."""

    def __init__(self) -> None:
        self.pushed: list[str] = []
        self._memo: dict[int, str] = {}

    def follow(self, operation: str, value: object) -> None:
        last = self.pushed[-1] if self.pushed else ""
        if operation in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self._memo[int(str(value))] = last
        elif operation == "MEMOIZE":
            self._memo[len(self._memo)] = last
        elif operation in {"GET", "BINGET", "LONG_BINGET"}:
            self.pushed.append(self._memo.get(int(str(value)), ""))
        elif isinstance(value, str):
            self.pushed.append(value)


def read_plain(stream: IO[bytes], most_tensors: int = MOST_TENSORS) -> Plain:
    """The next pickle as dicts, lists, tuples, numbers, texts, `Stored` and `View`.

    It takes the operations with which torch writes and its own reader reads, and no others.
    The work is bounded by the tensors that there may be, and so is the memory.
    Raises StrangerError for a name that is not plain, PickleError for everything else.
    """
    machine = _Machine(most_tensors)
    most_operations = OPERATIONS_PER_TENSOR * most_tensors
    try:
        for operation, value, _ in islice(pickletools.genops(stream), most_operations):
            if operation.name == "STOP":
                return Plain(machine.stack.pop(), tuple(machine.storages), tuple(machine.views))
            machine.run(operation.name, value)
    except PickleError:
        raise
    except (ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
        raise PickleError("its pickle is damaged") from error
    raise PickleError(f"its pickle has more than {most_operations:,} operations")


def views_below(tree: Value) -> Iterator[View]:
    """Every tensor in nested dicts, as often as it is reached. Raises PickleError on a tangle."""
    count = 0
    waiting: list[tuple[Value, int]] = [(tree, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > _MOST_BRANCHES or depth > _DEEPEST:
            raise PickleError("its mappings contain each other without end")
        if isinstance(value, View):
            yield value
        elif isinstance(value, dict):
            waiting += ((each, depth + 1) for each in value.values())


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, most_tensors: int) -> None:
        self._most_tensors = most_tensors
        self.stack: list[Value] = []
        self._marked: list[list[Value]] = []
        self._memo: dict[int, Value] = {}
        self.storages: list[Stored] = []
        self.views: list[View] = []

    def run(self, name: str, value: object) -> None:
        if name in _LITERALS:
            self.stack.append(value)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self._memo[int(str(value))] = self.stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self._memo[int(str(value))])
        elif name == "GLOBAL":
            self.stack.append(named(dotted(str(value))))
        elif name in _STEPS:
            _STEPS[name](self)
        elif name != "PROTO":
            raise PickleError(f"its pickle uses {name}, which no tensors need")

    def mark(self) -> None:
        self._marked.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Value]:
        items, self.stack = self.stack, self._marked.pop()
        return items

    def tuple_marked(self) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise PickleError("its pickle is damaged")
        self.stack[-count:] = [items]

    def append(self, count: int | None) -> None:
        items = self._since_mark() if count is None else [self.stack.pop()]
        target = self.stack[-1]
        if not isinstance(target, list):
            raise PickleError("its pickle appends to what is no list")
        target += items

    def set_items(self, count: int | None) -> None:
        if count is None:
            items = self._since_mark()
        else:
            value, key = self.stack.pop(), self.stack.pop()
            items = [key, value]
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleError("its pickle fills what is no mapping")
        fill(target, zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = made = called(self.stack[-1], arguments)
        if isinstance(made, View):
            self.views.append(made)
            if len(self.views) > self._most_tensors:
                raise PickleError(f"it holds more than {self._most_tensors:,} tensors")

    def build(self) -> None:
        """state_dict() carries its versions as an attribute; nothing else has a state."""
        state, target = self.stack.pop(), self.stack[-1]
        is_versions = isinstance(state, dict) and set(state) <= {"_metadata"}
        if not (isinstance(target, dict) and is_versions):
            raise PickleError("its pickle sets attributes of objects")

    def persistent(self) -> None:
        self.stack[-1] = storage = stored(self.stack[-1])
        self.storages.append(storage)


_LITERALS = {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1"}
_MADE: dict[str, Callable[[], Value]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": Opaque,
}
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_marked,
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": lambda machine: machine.append(1),
    "APPENDS": lambda machine: machine.append(None),
    "SETITEM": lambda machine: machine.set_items(1),
    "SETITEMS": lambda machine: machine.set_items(None),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
