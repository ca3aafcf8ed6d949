"""The steady ticks of a stream as one recording, which CUDA has and the CPU here plays."""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from small_networks import picture, tiny_rrdb
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from srcli.inference import stages
from srcli.inference.delays import ticks
from srcli.inference.streaming import _Steps
from srcli.inference.streams import INPUT, build_stream
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.rrdb import RRDBConfig, RRDBNet

HEIGHT, WIDTH, BAND = 120, 9, 8
CUDA = torch.device("cuda:1")
SHUFFLE = RRDBConfig(
    channels=6, growth=6, blocks=1, scale=2, upsampling="shuffle", imagenet_normalised=True
)
NETWORKS = {
    "rrdb": lambda: tiny_rrdb().body,
    "shuffle": lambda: RRDBNet(SHUFFLE).eval(),
    "compact": lambda: CompactNet(CompactConfig(channels=4, convolutions=2, scale=3)).eval(),
}


class Recording(TorchDispatchMode):
    """Notes what is done to which memory, to be undone and done again; may refuse a call."""

    def __init__(self, refused_call: int) -> None:
        super().__init__()
        self.refused_call = refused_call
        self.calls, self.before = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if len(self.calls) == self.refused_call:
            raise RuntimeError("operation not permitted when stream is capturing")
        names = [argument.name for argument in func._schema.arguments]
        given = dict(zip(names, args, strict=False)) | (kwargs or {})
        for argument in func._schema.arguments:
            if argument.is_write:
                self.before.append((given[argument.name], given[argument.name].clone()))
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made

    def undo(self) -> None:
        for tensor, values in reversed(self.before):
            tensor.copy_(values)

    def replay(self) -> None:
        for func, args, kwargs, made in self.calls:
            again = func(*args, **kwargs)
            if isinstance(made, Tensor) and not func.is_view and not func._schema.is_mutable:
                made.copy_(again)


class Graph:
    """Stands for torch.cuda.CUDAGraph."""

    recording: Recording
    replays = 0

    def replay(self) -> None:
        self.replays += 1
        self.recording.replay()


@pytest.fixture
def cuda(monkeypatch):
    """What of torch.cuda a recording needs; the graphs that were made, and how."""
    monkeypatch.setattr(stages, "_can_pack", lambda weight: False)  # as elsewhere than on a CPU
    made = {"graphs": [], "settings": [], "refused_call": -1}

    def graph() -> Graph:
        made["graphs"].append(Graph())
        return made["graphs"][-1]

    @contextmanager
    def recorded(graph: Graph, **settings):
        made["settings"].append(settings)
        graph.recording = Recording(made["refused_call"])
        try:
            with graph.recording:
                yield
        finally:
            graph.recording.undo()  # recording runs nothing

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", recorded)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "usual")
    monkeypatch.setattr(torch.cuda, "Stream", lambda: "fresh")
    return made


@torch.inference_mode()
def played(body: torch.nn.Module, device: torch.device) -> Tensor:
    stream = build_stream(body, images=1, width=WIDTH, band=BAND)
    image = picture(HEIGHT, WIDTH)[None]

    def fed():
        for tick in ticks(HEIGHT, BAND, stream.output):
            rows = tick.rows(INPUT)
            yield tick, image[:, :, rows.start : rows.stop]

    return torch.cat([rows for _, rows in _Steps(stream, device).run(fed())], 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recorded_stream_gives_the_bits_of_one_that_is_not(cuda, name):
    body = NETWORKS[name]()
    plain = played(body, torch.device("cpu"))
    assert torch.equal(played(body, CUDA), plain)
    (graph,) = cuda["graphs"]
    assert graph.replays >= 5


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_that_cannot_be_recorded_goes_on_without(cuda, name):
    body = NETWORKS[name]()
    plain = played(body, torch.device("cpu"))
    cuda["refused_call"] = 15  # after the first stage has left something for the last
    assert torch.equal(played(body, CUDA), plain)
    (graph,) = cuda["graphs"]
    assert graph.replays == 0


def test_a_recording_is_of_its_own_device_and_lets_other_threads_be(cuda):
    played(NETWORKS["rrdb"](), CUDA)
    assert cuda["settings"] == [{"stream": "fresh", "capture_error_mode": "thread_local"}]
