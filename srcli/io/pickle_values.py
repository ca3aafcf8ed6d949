"""What the pickle of a PyTorch file is made of, as inert values; nothing named is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

_MOST_SIDES = 16
_LONGEST_SIDE = 1 << 40

Value: TypeAlias = object
Mapped: TypeAlias = dict[object, Value]


class PickleError(ValueError):
    """A pickle of anything but plain values and tensors; the text says what is wrong with it."""


class StrangerError(PickleError):
    """A pickle that asks for a function or a class that is no part of tensors."""

    def __init__(self, name: str) -> None:
        super().__init__(f"asks for {name}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Named:
    """A function or class that a pickle names; it is never looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A storage that a pickle refers to: a run of numbers elsewhere in the file."""

    kind: str  # the name of its class: FloatStorage, ...
    key: str
    numel: int

    @property
    def nbytes(self) -> int:
        """Bytes of all its numbers."""
        return self.numel * ITEM_BYTES[self.kind]


@dataclass(frozen=True, slots=True)
class View:
    """A tensor that a pickle would make of a storage."""

    storage: Stored
    dtype: str | None  # None: the storage's own
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def item_bytes(self) -> int:
        """Of one number."""
        return ITEM_BYTES[self.storage.kind] if self.dtype is None else _item_bytes(self.dtype)

    @property
    def nbytes(self) -> int:
        """Of all its numbers, laid out one after the other."""
        return prod(self.size) * self.item_bytes

    @property
    def reach(self) -> int:
        """Bytes of the storage up to its last number."""
        if not prod(self.size):
            return 0
        steps = sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        return (self.offset + steps + 1) * self.item_bytes


@dataclass(frozen=True, slots=True)
class Plain:
    """A pickle that was read: its value, and every storage and tensor in it."""

    value: Value
    storages: tuple[Stored, ...]
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Opaque:
    """A plain object that holds no tensors: a set, a device, bytes."""


_OPAQUE = Opaque()
_MAPPINGS = {"collections.OrderedDict", "collections.Counter"}
_PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_VIEWS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_TYPED_VIEW = "torch._utils._rebuild_tensor_v3"
_FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
_TEXTS = {"builtins.bytearray", "_codecs.encode"}
_PLAIN_CALLS = {"builtins.set", "builtins.complex", "torch.Size", "torch.device"}
_CALLED = {*_MAPPINGS, *_PARAMETERS, *_VIEWS, *_TEXTS, *_PLAIN_CALLS, _TYPED_VIEW, _FROM_TYPE}
_TYPES = {"torch.Tensor", "torch.nn.parameter.Parameter"}
ITEM_BYTES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "Untyped", "QUInt8", "QInt8"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float", "QInt32"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_DTYPES = frozenset(
    [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    + ["float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"]
    + ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
)


def _item_bytes(dtype: str) -> int:
    """Of one number of a type as `torch.float16` or `torch.float8_e5m2`."""
    name = dtype.removeprefix("torch.").partition("_")[0]
    bits = int("".join(character for character in name if character.isdigit()) or 8)
    return bits // 8


def is_possible(shape: Sequence[int]) -> bool:
    """Whether a tensor may have that shape, were it only empty: else torch itself overflows.

    >>> is_possible((64, 3, 3, 3)), is_possible((0, 2**60)), is_possible((1,) * 100)
    (True, False, False)
    """
    return len(shape) <= _MOST_SIDES and all(0 <= side < _LONGEST_SIDE for side in shape)


def is_plain(name: str) -> bool:
    """Whether a function or class is a part of tensors, plain values and their mappings."""
    if name in _CALLED or name in _TYPES or _storage_kind(name):
        return True
    return name.startswith("torch.") and name.removeprefix("torch.") in _DTYPES


def dotted(value: str) -> str:
    """`module name` as module.name, under the name of Python 3."""
    return value.replace(" ", ".").replace("__builtin__.", "builtins.", 1)


def named(name: str) -> Named:
    if not is_plain(name):
        raise StrangerError(name)
    return Named(name)


def _storage_kind(name: str) -> str | None:
    """`Float` of torch.FloatStorage; None for what is no storage."""
    kind = name.rpartition(".")[2].removesuffix("Storage")
    is_ours = name in {f"torch.{kind}Storage", f"torch.storage.{kind}Storage"}
    return kind if is_ours and kind in ITEM_BYTES else None


def fill(target: Mapped, pairs: Iterator[tuple[Value, Value]]) -> None:
    for key, value in pairs:
        target[_key(key)] = value


def _key(value: Value) -> object:
    """A key as it may be hashed: a tuple of tuples of tuples could take for ever."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | bytes | int | float) for part in parts):
        raise PickleError("its pickle has keys that are no names")
    return value


def called(function: Value, arguments: Value) -> Value:
    if not isinstance(function, Named) or not isinstance(arguments, tuple):
        raise PickleError("its pickle calls what is no function")
    name = function.name
    if name in _MAPPINGS:
        return _mapping(*arguments)
    if name in _PARAMETERS:
        return _view_in(arguments[0])
    if name in _VIEWS:
        return _view(*arguments[:4], dtype=None)
    if name == _TYPED_VIEW:
        return _view(*arguments[:4], dtype=arguments[6])
    if name == _FROM_TYPE:
        return called(arguments[0], arguments[2])
    return _plain_call(name, arguments)


def _plain_call(name: str, arguments: tuple[Value, ...]) -> Value:
    """Things without tensors; a number alone would ask bytearray for that much memory."""
    first = arguments[0] if arguments else ()
    if name in _TEXTS and isinstance(first, str | bytes | Opaque):
        return _OPAQUE
    if name in _PLAIN_CALLS and all(map(_is_flat, arguments)):
        return tuple(first) if name == "torch.Size" and isinstance(first, tuple) else _OPAQUE
    raise PickleError(f"its pickle calls {name} in a way that no tensors need")


def _is_flat(value: Value) -> bool:
    items = value if isinstance(value, tuple | list) else [value]
    return all(item is None or isinstance(item, str | bytes | int | float) for item in items)


def _mapping(pairs: Value = None) -> Mapped:
    made: Mapped = {}
    if isinstance(pairs, dict):
        made.update(pairs)
    elif isinstance(pairs, list | tuple):
        fill(made, ((key, value) for key, value in map(_pair, pairs)))
    elif pairs is not None:
        raise PickleError("its pickle makes a mapping of something else")
    return made


def _pair(value: Value) -> tuple[Value, Value]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise PickleError("its pickle makes a mapping of something else")
    return value[0], value[1]


def _view_in(value: Value) -> View:
    if not isinstance(value, View):
        raise PickleError("its pickle makes a parameter of what is no tensor")
    return value


def _view(storage: Value, offset: Value, size: Value, stride: Value, *, dtype: Value) -> View:
    if not isinstance(storage, Stored) or not (dtype is None or isinstance(dtype, Named)):
        raise PickleError("its pickle makes a tensor of what is no storage")
    (start,) = _counts((offset,))
    view = View(storage, dtype.name if dtype else None, start, _counts(size), _counts(stride))
    if len(view.size) != len(view.stride) or view.reach > storage.nbytes:
        raise PickleError(f"a tensor of the shape {view.size} lies outside of its numbers")
    return view


def _counts(value: Value) -> tuple[int, ...]:
    if isinstance(value, tuple) and all(type(n) is int for n in value) and is_possible(value):
        return value
    raise PickleError("its pickle has a tensor of an impossible shape")


def stored(value: Value) -> Stored:
    match value:
        case ("storage", Named(name=name), str(key), str(), int(numel), *_):
            kind = _storage_kind(name)
            if kind is not None and numel >= 0:
                return Stored(kind, key, numel)
    raise PickleError("its pickle refers to what is no storage")
