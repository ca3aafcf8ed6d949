"""Hostile files of weights: each a function that writes one, and what must be refused of it."""

from __future__ import annotations

import collections
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from safetensors.torch import save as safetensors_bytes

from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.rrdb import RRDBConfig, RRDBNet

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Hostile:
    """A file that must be refused: its name, its ending, and how it is written."""

    name: str
    suffix: str
    write: Callable[[Path], None]

    @property
    def may_pass(self) -> bool:
        """Whether a reader may take it: a wound in an archive can be one that nobody reads."""
        return self.name.startswith(("zip index", "zip record", "zip end"))

    def __str__(self) -> str:
        return self.name


def all_hostile(canary: Path) -> list[Hostile]:
    """Every hostile file; those that would run something would make the file `canary`."""
    return [
        *_gadgets(canary),
        *_misled_pickles(),
        *_archives(),
        *_safetensors(),
        *_networks(),
        *_ncnn(),
    ]


class Call:
    """Pickled as a call of a function by name, whether or not it can be imported here."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name, self.arguments = name, arguments


def gadgets(canary: Path) -> dict[str, Call]:
    """Calls that pickles have been seen or shown to make."""
    touch, code = f"touch {canary}", f"open({str(canary)!r}, 'w')"
    program = f"import os; os.system({touch!r})"
    getattr_ = Call("builtins.getattr", Call("importlib.import_module", "os"), "system")
    return {
        "os.system": Call("os.system", touch),
        "posix.system": Call("posix.system", touch),
        "nt.system": Call("nt.system", touch),
        "os.popen": Call("os.popen", touch),
        "os.execvp": Call("os.execvp", "touch", ["touch", str(canary)]),
        "os.spawnlp": Call("os.spawnlp", 0, "touch", "touch", str(canary)),
        "eval": Call("builtins.eval", code),
        "exec": Call("builtins.exec", program),
        "python2-eval": Call("__builtin__.eval", code),
        "compile": Call("builtins.compile", program, "x", "exec"),
        "open": Call("builtins.open", str(canary), "w"),
        "io.open": Call("_io.open", str(canary), "w"),
        "import": Call("builtins.__import__", "os"),
        "getattr-chain": getattr_,
        "called-getattr": Call("builtins.apply", getattr_, touch),
        "attrgetter": Call("operator.attrgetter", "system"),
        "methodcaller": Call("operator.methodcaller", "system", touch),
        "partial": Call("functools.partial", Call("builtins.eval"), code),
        "reduce": Call("functools.reduce", Call("builtins.eval"), [code]),
        "map": Call("builtins.map", Call("builtins.eval"), [code]),
        "subprocess.Popen": Call("subprocess.Popen", ["touch", str(canary)]),
        "subprocess.run": Call("subprocess.run", ["touch", str(canary)]),
        "subprocess.check_output": Call("subprocess.check_output", ["touch", str(canary)]),
        "runpy": Call("runpy._run_code", program, {}),
        "runpy.run_path": Call("runpy.run_path", str(canary)),
        "code": Call("code.InteractiveInterpreter"),
        "pty.spawn": Call("pty.spawn", ["touch", str(canary)]),
        "webbrowser": Call("webbrowser.open", f"file://{canary}"),
        "shutil.rmtree": Call("shutil.rmtree", str(canary.parent)),
        "pathlib": Call("pathlib.Path.write_text", str(canary), "x"),
        "timeit": Call("timeit.timeit", program),
        "cProfile": Call("cProfile.run", program),
        "pdb": Call("pdb.run", program),
        "bdb": Call("bdb.Bdb.run", program),
        "doctest": Call("doctest.debug_script", program),
        "asyncio": Call("asyncio.unix_events._UnixSubprocessTransport._start"),
        "multiprocessing": Call("multiprocessing.util.spawnv_passfds", b"touch", [], []),
        "socket": Call("socket.create_connection", ("127.0.0.1", 9)),
        "urllib": Call("urllib.request.urlopen", "http://127.0.0.1:9"),
        "ctypes": Call("ctypes.CDLL", "libc.so.6"),
        "pip": Call("pip.main", ["--version"]),
        "pydoc": Call("pydoc.pipepager", "", touch),
        "logging": Call("logging.config.dictConfig", {}),
        "marshal": Call("marshal.loads", b"N"),
        "types.FunctionType": Call("types.FunctionType", None, {}),
        "copyreg": Call("copyreg._reconstructor", Call("builtins.object")),
        "pickle.loads": Call("pickle.loads", b"cos\nsystem\n(S'true'\ntR."),
        "_pickle.loads": Call("_pickle.loads", b"cos\nsystem\n(S'true'\ntR."),
        "dill": Call("dill._dill._create_function"),
        "cloudpickle": Call("cloudpickle.cloudpickle._make_function"),
        "joblib": Call("joblib.load", str(canary)),
        "numpy.load": Call("numpy.load", str(canary)),
        "numpy.fromfile": Call("numpy.fromfile", str(canary)),
        "numpy.runstring": Call("numpy.testing._private.utils.runstring", program, {}),
        "numpy.f2py": Call("numpy.f2py.crackfortran.getlincoef", program, {}),
        "numpy._reconstruct": Call("numpy.core.multiarray._reconstruct"),
        "torch.load": Call("torch.load", str(canary)),
        "torch.serialization.load": Call("torch.serialization.load", str(canary)),
        "torch.hub.load": Call("torch.hub.load", "owner/repo", "model"),
        "torch.jit.load": Call("torch.jit.load", str(canary)),
        "torch.ops": Call("torch.ops.load_library", str(canary)),
        "torch.classes": Call("torch.classes.load_library", str(canary)),
        "torch.cpp_extension": Call("torch.utils.cpp_extension.load", "x", str(canary)),
        "torch.inductor": Call("torch._inductor.codecache.compile_file", str(canary)),
        "torch.dynamo": Call("torch._dynamo.guards.GuardBuilder.get", "x", code),
        "torch.utils.collect_env": Call("torch.utils.collect_env.run", touch),
        "torch.bottleneck": Call("torch.utils.bottleneck.__main__.run_cprofile", program, {}),
        "torch.fx": Call("torch.fx.graph_module.reduce_graph_module", {}, ""),
        "torch.unimported": Call("torch._utils.__dict__", "x"),
        "torch.module": Call("torch.nn.modules.module.Module"),
        "tensorflow": Call("tensorflow.io.write_file", str(canary), "x"),
        "srcli": Call("srcli.io.files.replacing", str(canary)),
    }


def pickled(value: object, protocol: int) -> bytes:
    """A pickle written by hand: `Call` becomes a call of what need not exist."""
    out = bytearray(b"\x80" + bytes([protocol]) if protocol >= 2 else b"")
    _write(out, value, protocol)
    return bytes(out + b".")


def _write(out: bytearray, value: object, protocol: int) -> None:
    match value:
        case Call(name=name, arguments=arguments):
            _write_name(out, name, protocol)
            if arguments or name.endswith(("load", "spawn")):
                _write(out, tuple(arguments), protocol)
                out += b"R"
        case dict():
            out += b"}" if protocol else b"(d"
            for key, each in value.items():
                _write(out, key, protocol)
                _write(out, each, protocol)
                out += b"s"
        case tuple() | list():
            out += b"("
            for each in value:
                _write(out, each, protocol)
            out += b"t" if isinstance(value, tuple) else b"l"
        case _:
            out += _atom(value, protocol)


def _atom(value: object, protocol: int) -> bytes:
    match value:
        case bytes():
            return _atom(value.decode("latin-1"), protocol)
        case str() if protocol:
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case str():
            return b"V" + value.encode().replace(b"\\", b"\\u005c") + b"\n"
        case int():
            return b"I%d\n" % value
        case _:
            return b"N"


def _write_name(out: bytearray, name: str, protocol: int) -> None:
    module, _, attribute = name.rpartition(".")
    if protocol >= 4:
        _write(out, module, protocol)
        _write(out, attribute, protocol)
        out += b"\x93"
    else:
        out += b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def zipped(data: bytes, records: dict[str, bytes] | None = None, *, method: int = 0) -> bytes:
    """A PyTorch archive around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3\n")
        for name, record in (records or {}).items():
            archive.writestr(f"archive/{name}", record)
    return file.getvalue()


def legacy(data: bytes, protocol: int = 2) -> bytes:
    """What PyTorch wrote before 1.6, with `data` as the pickle of the object."""
    parts = (MAGIC, 1001, {"little_endian": True})
    return b"".join(pickle.dumps(part, protocol) for part in parts) + data + pickle.dumps([], 2)


def tarred(data: bytes) -> bytes:
    """What PyTorch wrote before 0.1.10."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _gadgets(canary: Path) -> Iterator[Hostile]:
    for name, call in gadgets(canary).items():
        for protocol in range(6):
            data = pickled({"params": {"weight": call}}, protocol)
            bare = pickled(call, protocol)
            wraps = {"zip": zipped(data), "legacy": legacy(data), "bare": bare}
            if protocol == 2:
                wraps |= {"tar": tarred(data), "instance": _instance(call)}
                wraps |= {"persistent": zipped(pickled(call, 2)[:-1] + b"Q.")}
                wraps |= {"built": zipped(pickled(call, 2)[:-1] + b"}b.")}
                wraps |= {"extension": zipped(b"\x80\x02\x82\x01.")}
            for wrap, content in wraps.items():
                yield _file(f"{name} protocol {protocol} {wrap}", content, ".pth")
    for protocol in range(6):
        torch_pickle = pickle.dumps(torch.nn.Conv2d(1, 1, 1), protocol)
        yield _file(f"module protocol {protocol}", zipped(torch_pickle), ".pt")


def _instance(call: Call) -> bytes:
    """The same by INST and OBJ, the operations of the oldest pickles."""
    module, _, attribute = call.name.rpartition(".")
    return zipped(b"(S'x'\ni" + module.encode() + b"\n" + attribute.encode() + b"\n.")


def _file(name: str, content: bytes, suffix: str) -> Hostile:
    return Hostile(name, suffix, lambda path: _put(path, content))


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _misled_pickles() -> Iterator[Hostile]:
    for name, data in bombs().items():
        yield _file(f"pickle {name} zip", zipped(data, {"data/0": bytes(4)}), ".pth")
        yield _file(f"pickle {name} legacy", legacy(data.replace(b"tQ", b"NtQ")), ".pth")


def _tensor(size: str, stride: str, *, numel: int = 1, offset: int = 0, key: str = "0") -> bytes:
    """A call of _rebuild_tensor_v2 with sizes as opcodes."""
    storage = (
        b"(X\7\0\0\0storagectorch\nFloatStorage\nX"
        + struct.pack("<I", len(key))
        + key.encode()
        + b"X\3\0\0\0cpu"
        + _long(numel)
        + b"tQ"
    )
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + _long(offset)
        + _longs(size)
        + _longs(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def _long(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def _longs(text: str) -> bytes:
    return b"(" + b"".join(_long(int(word)) for word in text.split()) + b"t"


def _named(value: bytes, name: str = "a") -> bytes:
    return b"\x80\x02}X" + struct.pack("<I", len(name)) + name.encode() + value + b"s."


def bombs() -> dict[str, bytes]:
    """Short pickles that ask for memory, for time, or for what is not there."""
    doubled = b"\x80\x02}X\1\0\0\0xK\1s" + b"".join(
        b"q%c}X\1\0\0\0ah%cs(X\1\0\0\0bh%cu" % (n, n, n) for n in range(60)
    )
    tuples = b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60))
    huge = str(2**33)
    return {
        "bytearray": _named(b"cbuiltins\nbytearray\n(" + _long(2**36) + b"tR"),
        "storage call": _named(b"ctorch.storage\nUntypedStorage\n(" + _long(2**36) + b"tR"),
        "tensor call": _named(b"ctorch\nTensor\n(" + _longs(f"{2**20} {2**14}")[1:-1] + b"tR"),
        "tensor class": _named(b"ctorch\nFloatTensor\n(" + _long(2**34) + b"tR"),
        "stride 0": _named(_tensor(f"{2**20} {2**14}", "0 0")),
        "stride 0 of a weight": _named(_tensor(f"{2**17} 3 300 300", "0 0 0 0"), "conv.weight"),
        "negative stride": _named(_tensor("4", "-1")),
        "negative size": _named(_tensor("-4", "1")),
        "negative offset": _named(_tensor("1", "1", offset=-1)),
        "offset": _named(_tensor("1", "1", offset=2**40)),
        "size": _named(_tensor(huge, "1")),
        "sizes that overflow": _named(_tensor(f"{2**32} {2**32}", "1 1")),
        "empty but vast": _named(_tensor(f"0 {2**40} {2**40}", "1 1 1")),
        "numel": _named(_tensor("1", "1", numel=2**34)),
        "negative numel": _named(_tensor("1", "1", numel=-1)),
        "missing record": _named(_tensor("1", "1", key="7")),
        "record elsewhere": _named(_tensor("1", "1", key="../version")),
        "sparse": _named(b"ctorch._utils\n_rebuild_sparse_tensor\n(NNtR"),
        "meta": _named(b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(NNtR"),
        "mapping in itself": b"\x80\x02}q\0X\1\0\0\0ah\0s.",
        "mappings doubled": doubled + b".",
        "tuples doubled as a key": b"\x80\x02}" + tuples + b"K\1s.",
        "tuples doubled in a set": _named(b"cbuiltins\nset\n(" + tuples + b"ltR"),
        "attributes of a mapping": (b"\x80\x02ccollections\nOrderedDict\n)R}X\5\0\0\0itemsK\1sb."),
        "string longer than the file": b"\x80\x02X\xff\xff\xff\x7f.",
        "memo far out": b"\x80\x02}r\xff\xff\xff\x7f.",
        "long number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "nothing on the stack": b"\x80\x02.",
        "no end": b"\x80\x02" + b"}" * 1000,
        "marks": b"\x80\x02" + b"(" * 100_000,
        "lists in lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "operations without end": b"\x80\x02" + b"N" * 3_000_000 + b".",
    }


def _archives() -> Iterator[Hostile]:
    good = _good_pth()
    record = {"data/0": b""}
    tensor = _named(_tensor(str(25 << 20), "1", numel=25 << 20))
    for name, method in (("deflate", 8), ("bzip2", 12), ("lzma", 14)):
        yield _bomb(f"zip bomb of numbers by {name}", b"\x80\x02}.", record, method)
        yield _bomb(f"zip bomb of a pickle by {name}", b"", {}, method)
    yield _bomb("zip bomb that a tensor uses", tensor, record, zipfile.ZIP_DEFLATED)
    for part in ("data.pkl", "version", "data/0"):
        yield Hostile(f"zip with two {part}", ".pth", lambda path, part=part: _double(path, part))
    for place in range(0, 46, 2):
        yield _file(f"zip index, {place}", _poked(good, b"PK\1\2", place), ".pth")
    for place in range(0, 30, 2):
        yield _file(f"zip record, {place}", _poked(good, b"PK\3\4", place), ".pth")
    for place in range(0, 22, 2):
        yield _file(f"zip end, {place}", _poked(good, b"PK\5\6", place), ".pth")
    yield from _double_faced(good)
    yield _file("zip without a pickle", zipped(b"", {}).replace(b"data.pkl", b"nope.pkl"), ".pth")
    script = zipped(b"\x80\x02}.", {"constants.pkl": b"", "code/__torch__.py": b"x"})
    yield _file("TorchScript", script, ".pt")


def _double_faced(good: bytes) -> Iterator[Hostile]:
    """Archives in which one reader may find whole weights, and another half a gigabyte to make."""
    bomb = _named(b"cbuiltins\nbytearray\n(" + _long(2**29) + b"tR")
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    pickle_ = records.pop("data.pkl")
    del records["version"]
    yield _file("archive behind an old file", legacy(bomb) + good, ".pth")
    yield _file("archive behind a bare pickle", bomb + good, ".pth")
    yield _file(
        "archive of names in two cases", zipped(pickle_, records | {"DATA.PKL": bomb}), ".pth"
    )
    yield _file("archive of two indices", _two_indices(zipped(pickle_, records), bomb), ".pth")
    yield _file("archive of other names beside", _other_names(pickle_, bomb, records), ".pth")
    yield _file("archive with a remark", good[:-2] + b"\3\0abc", ".pth")
    place = good.rfind(b"PK\6\7") + 8
    yield _file("archive led astray", good[:place] + b"\1" + good[place + 1 :], ".pth")


def _two_indices(good: bytes, bomb: bytes) -> bytes:
    """The end names the place of the first index; Python takes what stands right before the end."""
    index, end = good.index(b"PK\1\2"), len(good) - 22
    bad = zipped(bomb, {"pad": bytes(index)})
    first = bad.index(b"PK\1\2")
    entries = bytearray(good[index:end])
    place = entries.find(b"PK\1\2")
    while place >= 0:  # where the record begins, as Python will correct it
        (offset,) = struct.unpack_from("<L", entries, place + 42)
        struct.pack_into("<L", entries, place + 42, first + offset - index)
        place = entries.find(b"PK\1\2", place + 46)
    tail = good[end : end + 12] + struct.pack("<LLH", len(entries), first, 0)
    return bad[: len(bad) - 22] + good[:index] + bytes(entries) + tail


def _other_names(good: bytes, bomb: bytes, records: dict[str, bytes]) -> bytes:
    """Each record has a second name in an extra field, which newer Pythons take for the name."""
    file = io.BytesIO()
    named = {"data.pkl": ("other", bomb), "other": ("data.pkl", good)}
    with zipfile.ZipFile(file, "w") as archive:
        for name, (second, content) in named.items():
            info = zipfile.ZipInfo(f"archive/{name}")
            text = f"archive/{second}".encode()
            check = zlib.crc32(info.filename.encode())
            info.extra = struct.pack("<HHBL", 0x7075, 5 + len(text), 1, check) + text
            archive.writestr(info, content)
        for name, content in {"version": b"3\n", **records}.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


BOMB_BYTES = 100 << 20


def _bomb(name: str, data: bytes, records: dict[str, bytes], method: int) -> Hostile:
    """An archive that unpacks to `BOMB_BYTES` of zeros: a record of it, or else the pickle."""

    def write(path: Path) -> None:
        zeros = bytes(BOMB_BYTES)
        full = dict.fromkeys(records, zeros)
        path.write_bytes(zipped(data if records else zeros, full, method=method))

    return Hostile(name, ".pth", write)


def _good_pth() -> bytes:
    file = io.BytesIO()
    torch.save(CompactNet(CompactConfig(channels=4, convolutions=1)).state_dict(), file)
    return file.getvalue()


def _double(path: Path, part: str) -> None:
    path.write_bytes(zipped(_named(_tensor("1", "1")), {"data/0": bytes(4)}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"archive/{part}", bytes(4))


def _poked(data: bytes, mark: bytes, place: int) -> bytes:
    start = data.find(mark) + place
    return data[:start] + b"\xfe\xff" + data[start + 2 :]


def safetensors(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    """A file with a header as one likes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _safetensors() -> Iterator[Hostile]:
    def one(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> object:
        return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}

    eight = bytes(8)
    two = {**dict(one()), "b": dict(one())["a"]}
    cases: dict[str, bytes] = {
        **{f"header of {n}": safetensors({}, eight, n) for n in (2**63, 2**64 - 1, 2**62, 2**31)},
        "header of 0": safetensors(b"", eight, 0),
        "header of 99,999,999": safetensors({}, eight, 99_999_999),
        "overlapping": safetensors(two, eight),
        "same name twice": safetensors(
            b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
            b'"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
            eight * 2,
        ),
        "hole": safetensors(one(offsets=(4, 12)), eight * 2),
        "negative": safetensors(one(offsets=(-8, 0)), eight),
        "backwards": safetensors(one(offsets=(8, 0)), eight),
        "huge": safetensors(one(offsets=(0, 2**63)), eight),
        "beyond the end": safetensors(one(shape=(200,), offsets=(0, 800)), eight),
        "misaligned": safetensors(one(offsets=(1, 9)), eight + b"\0"),
        "bytes left over": safetensors(one(), eight * 4),
        "three offsets": safetensors(one(offsets=(0, 4, 8)), eight),
        "offsets of text": safetensors(one(offsets=("0", "8")), eight),
        "shape too large": safetensors(one(shape=(2**40,)), eight),
        "shape overflows": safetensors(one(shape=(2**40, 2**40)), eight),
        "shape overflows to fit": safetensors(one(shape=(2**63, 2, 2)), eight),
        "shape negative": safetensors(one(shape=(-2,)), eight),
        "shape of fractions": safetensors(one(shape=(1.5,)), eight),
        "shape empty but vast": safetensors(one(shape=(0, 2**40, 2**40), offsets=(0, 0))),
        "shape of many ones": safetensors(one(shape=[1] * 100_000, offsets=(0, 4)), bytes(4)),
        "dtype unknown": safetensors(one(dtype="F7"), eight),
        "dtype number": safetensors(one(dtype=5), eight),
        "metadata of numbers": safetensors({"__metadata__": {"a": 1}, **dict(one())}, eight),
        "metadata of a list": safetensors({"__metadata__": [], **dict(one())}, eight),
        "header a list": safetensors([], eight),
        "header not UTF-8": safetensors(b'{"\xff":1}', eight),
        "header nested": safetensors(b'{"a":' * 100_000, eight),
        "header empty": safetensors({}),
        "names of a million": safetensors(
            {f"t{n}": dict(one(shape=(0,), offsets=(0, 0)))["a"] for n in range(100_000)}
        ),
    }
    for dtype, size in (("BF16", 2), ("F16", 2), ("F64", 8), ("I64", 8), ("U8", 1), ("BOOL", 1)):
        cases[f"lying {dtype}"] = safetensors(one(dtype=dtype, shape=(8 // size + 1,)), eight)
    for dtype in ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "U16", "U64", "C64", "I8"):
        cases[f"only {dtype}"] = safetensors(one(dtype=dtype, shape=(8,), offsets=(0, 8)), eight)
    for name, content in cases.items():
        yield _file(f"safetensors {name}", content, ".safetensors")


State = dict[str, torch.Tensor]


def rrdb_state() -> State:
    torch.manual_seed(0)
    return RRDBNet(RRDBConfig(channels=4, growth=2, blocks=1)).state_dict()


def compact_state() -> State:
    torch.manual_seed(0)
    return CompactNet(CompactConfig(channels=4, convolutions=1)).state_dict()


def _networks() -> Iterator[Hostile]:
    for name, change in _changes().items():
        for kind, make in (("rrdb", rrdb_state), ("compact", compact_state)):
            yield Hostile(f"{kind} {name}", ".safetensors", _changed(change, make, kind))
            if name in ("nan", "blocks without end"):
                yield Hostile(f"{kind} {name} pth", ".pth", _changed(change, make, kind))


def _changed(
    change: Callable[[State, str], State], make: Callable[[], State], kind: str
) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        state = change(dict(make()), kind)
        if path.suffix == ".pth":
            torch.save(state, path)
        else:
            path.write_bytes(safetensors_bytes(state))

    return write


def _changes() -> dict[str, Callable[[State, str], State]]:
    def filled(value: float, dtype: torch.dtype = torch.float32) -> Callable[[State, str], State]:
        def change(state: State, kind: str) -> State:
            name = next(iter(state))
            state[name] = torch.full(state[name].shape, value, dtype=torch.float64).to(dtype)
            return state

        return change

    return {
        "nan": filled(torch.nan),
        "infinite": filled(torch.inf),
        "minus infinite": filled(-torch.inf),
        "nan in half": filled(torch.nan, torch.float16),
        "infinite in bfloat16": filled(torch.inf, torch.bfloat16),
        "nan in float8": filled(torch.nan, torch.float8_e4m3fn),
        "nan in double": filled(torch.nan, torch.float64),
        "complex nan": filled(torch.nan, torch.complex64),
        "complex": filled(1.0, torch.complex64),
        "beyond float32": filled(1e300, torch.float64),
        "first missing": lambda state, kind: dict(list(state.items())[1:]),
        "last missing": lambda state, kind: dict(list(state.items())[:-1]),
        "no numbers": lambda state, kind: {n: t[:0].clone() for n, t in state.items()},
        "scalars": lambda state, kind: {name: torch.zeros(()) for name in state},
        "flat": lambda state, kind: {name: t.flatten() for name, t in state.items()},
        "of five dimensions": lambda state, kind: {n: t[None, None] for n, t in state.items()},
        "turned": lambda state, kind: {
            n: t.transpose(0, -1).contiguous() for n, t in state.items()
        },
        "halved": lambda state, kind: {n: t[: len(t) // 2].clone() for n, t in state.items()},
        "doublings without end": _doublings,
        "scale of a thousand": _vast_scale,
        "blocks without end": _blocks,
        "blocks far apart": lambda state, kind: {
            n.replace("body.0.", "body.99999999999999999999."): t for n, t in state.items()
        },
        "names of other digits": lambda state, kind: {
            n.replace("body.", "body.٣"): t for n, t in state.items()
        },
        "seven channels": _seven_channels,
        "prefix a million times": lambda state, kind: {
            "module." * 20_000 + name: t for name, t in state.items()
        },
    }


def _doublings(state: State, kind: str) -> State:
    if kind == "compact":
        return {"body.0.weight": torch.zeros(1, 1, 3, 3)}
    for number in range(1, 40):
        state[f"conv_up{number}.weight"] = torch.zeros(4, 4, 3, 3)
        state[f"conv_up{number}.bias"] = torch.zeros(4)
    return state


def _vast_scale(state: State, kind: str) -> State:
    if kind == "rrdb":
        return _doublings(state, kind)
    last = max(name for name in state if name.endswith("weight"))
    state[last] = torch.zeros(3 * 200**2, 4, 3, 3)
    state[last.replace("weight", "bias")] = torch.zeros(3 * 200**2)
    return state


def _blocks(state: State, kind: str) -> State:
    if kind == "rrdb":
        block = {"rdb1.conv1.weight": torch.zeros(1, 1, 1, 1)}
        return state | {
            f"body.{n}.{k}": t.clone() for n in range(1, 30_000) for k, t in block.items()
        }
    return {f"body.{n}.weight": torch.zeros(1) for n in range(30_000)}


def _seven_channels(state: State, kind: str) -> State:
    first = "conv_first.weight" if kind == "rrdb" else "body.0.weight"
    state[first] = torch.zeros(4, 7, 3, 3)
    return state


def _ncnn() -> Iterator[Hostile]:
    head, body = ncnn_pair()
    cases: dict[str, tuple[bytes, bytes]] = {
        "cut bin": (head, body[:-4]),
        "long bin": (head, body + bytes(4)),
        "empty bin": (head, b""),
        "nan bin": (head, body[:4] + struct.pack("<f", torch.nan) * (len(body) // 4 - 1)),
        "int8 bin": (head, struct.pack("<I", 0x000D4B38) + body[4:]),
        "no layers": (b"7767517\n0 0\n", b""),
        "layers that lie": (head.replace(b"\n2 2", b"\n99999 2", 1), body),
        "layers without end": (b"7767517\n999999999 1\n", b""),
        "not UTF-8": (head + b"\xff\xfe", body),
        "one line": (b"7767517", b""),
        "no number": (b"7767517\nx y\n", b""),
        "digits without end": (b"7767517\n" + b"9" * 100_000 + b" 1\n", b""),
    }
    for word in (b"0=-1", b"0=1e300", b"0=nan", b"0=inf", b"0=99999999", b"0=0.5", b"0=", b"0"):
        cases[f"outputs {word!r}"] = (head.replace(b"0=12", word), body)
    for word in (b"6=-36", b"6=9999999999", b"6=1e18", b"6=0", b"6=35", b"6=nan"):
        cases[f"weights {word!r}"] = (head.replace(b"6=324", word), body)
    for word in (b"-23309=99999999999,1", b"-23300=-1", b"-23309=1,x", b"-23309=", b"=", b"a=b"):
        cases[f"array {word!r}"] = (head.replace(b"6=324", b"6=324 " + word), body)
    for word in (b"-1 1", b"999999999 1", b"x 1", b"1"):
        cases[f"ends {word!r}"] = (head.replace(b"conv0 1 1", b"conv0 " + word), body)
    cases["kind unknown"] = (head.replace(b"Convolution", b"os.system  "), body)
    for name, (param, binary) in cases.items():
        yield Hostile(f"ncnn {name}", ".param", _pair(param, binary))


def ncnn_pair() -> tuple[bytes, bytes]:
    """An input and one convolution from 3 to 12 channels."""
    param = (
        b"7767517\n2 2\nInput data 0 1 data\n"
        b"Convolution conv0 1 1 data out 0=12 1=3 4=1 5=1 6=324\n"
    )
    return param, bytes(4) + bytes(324 * 4) + bytes(12 * 4)


def _pair(param: bytes, binary: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(param)
        path.with_suffix(".bin").write_bytes(binary)

    return write


def spoiled_weights(number: int) -> tuple[str, str, bytes]:
    """A good file of some kind with random wounds: what it is, its ending, its bytes."""
    random = Random(f"weights/{number}")
    name, suffix, data = good_files()[number % len(good_files())]
    wounded = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        head = random.choice((64, 600, len(wounded)))
        place = (
            random.randrange(min(head, len(wounded)))
            if random.random() < 0.8
            else -1 - (random.randrange(min(200, len(wounded))))
        )
        wounded[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    if random.random() < 0.2:
        del wounded[random.randrange(len(wounded)) :]
    return f"{number} {name}", suffix, bytes(wounded)


_GOOD: list[tuple[str, str, bytes]] = []


def good_files() -> list[tuple[str, str, bytes]]:
    """What it is, its ending, its bytes: whole files of every container."""
    if not _GOOD:
        for name, state in (("rrdb", rrdb_state()), ("compact", compact_state())):
            old = io.BytesIO()
            wrapped = collections.OrderedDict(params_ema=state, step=3)
            torch.save(wrapped, old, _use_new_zipfile_serialization=False)
            new = io.BytesIO()
            torch.save(wrapped, new)
            _GOOD.append((f"{name} zip", ".pth", new.getvalue()))
            _GOOD.append((f"{name} legacy", ".pth", old.getvalue()))
            _GOOD.append((f"{name} safetensors", ".safetensors", safetensors_bytes(state)))
    return _GOOD
