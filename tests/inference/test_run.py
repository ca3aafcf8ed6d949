import pytest
import torch
from small_networks import ends, identity, picture, runner, seeing
from torch import Tensor

from srcli.errors import OutOfMemoryError
from srcli.inference.geometry import TilePlan
from srcli.inference.run import enlarge
from srcli.models.network import Network


class FailsOnce:
    """Raises `error` the k-th time it is called, and never again."""

    def __init__(self, call: int, error: Exception) -> None:
        self.left, self.error = call, error

    def __call__(self, image: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return image


class FailsAbove:
    """Raises out of memory for every image of more than `limit` pixels."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, image: Tensor) -> Tensor:
        if image.shape[0] * image.shape[-1] * image.shape[-2] > self.limit:
            raise torch.OutOfMemoryError("out of memory")
        return image


PLAN = TilePlan(height=40, width=50, tile=20, halo=3, feather=4)  # 2 x 3 tiles
CPU_FULL = "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"


def run(network: Network, image: Tensor, plan: TilePlan = PLAN, **options):
    source, sink = ends(image, network.scale)
    return enlarge(runner(network), source, sink, plan, **options), sink.image


@pytest.mark.parametrize("call", range(1, 7))
def test_out_of_memory_at_any_tile_gives_the_right_picture_with_smaller_tiles(call):
    image, notes = picture(40, 50), []
    network = identity(2, FailsOnce(call, torch.OutOfMemoryError("CUDA out of memory")))
    plan, restored = run(network, image, on_note=notes.append)
    torch.testing.assert_close(restored, network(image[None])[0], atol=2e-6, rtol=0)
    assert plan.tile < PLAN.tile and len(notes) == 1 and str(plan.tile) in notes[0]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(CPU_FULL),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
    ids=str,
)
def test_every_way_of_saying_that_memory_is_out_is_understood(error):
    image = picture(40, 50)
    plan, restored = run(identity(fails=FailsOnce(2, error)), image)
    assert plan.tile < PLAN.tile
    torch.testing.assert_close(restored, image, atol=1e-6, rtol=0)


def test_another_error_of_the_network_is_a_bug_and_stays_one():
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(identity(fails=FailsOnce(2, RuntimeError("shapes do not match"))), picture(40, 50))


def test_tiles_shrink_until_they_fit():
    image = picture(64, 64)
    plan = TilePlan(height=64, width=64, tile=64, halo=2, feather=2)
    found, restored = run(identity(fails=FailsAbove(30 * 30)), image, plan)
    assert found.tile < 64 and found.largest[0] * found.largest[1] <= 900
    torch.testing.assert_close(restored, image, atol=1e-6, rtol=0)


def test_batches_shrink_too():
    image = picture(64, 64)
    plan = TilePlan(height=64, width=64, tile=32, halo=2, feather=2)
    _, restored = run(identity(fails=FailsAbove(36 * 36)), image, plan, batch=4)
    torch.testing.assert_close(restored, image, atol=1e-6, rtol=0)


def test_when_nothing_fits_the_user_is_told():
    with pytest.raises(OutOfMemoryError) as caught:
        run(identity(fails=FailsAbove(0)), picture(64, 64))
    assert caught.value.exit_code == 5 and caught.value.hint


def test_every_retry_is_of_a_smaller_tile():
    sizes: list[int] = []

    def refuse(image: Tensor) -> Tensor:
        sizes.append(image.shape[-1] * image.shape[-2])
        raise torch.OutOfMemoryError("out of memory")

    plan = TilePlan(height=100, width=100, tile=10_000, halo=8, feather=8)
    with pytest.raises(OutOfMemoryError):
        run(identity(fails=refuse), picture(100, 100), plan)
    assert sizes == sorted(set(sizes), reverse=True) and len(sizes) > 3


def test_the_image_starts_over_and_so_do_its_source_and_its_sink():
    calls: list[str] = []

    class Noting:
        def __init__(self, inner, name: str) -> None:
            self.inner, self.name = inner, name

        def __getattr__(self, name: str):
            return getattr(self.inner, name)

        def restart(self) -> None:
            calls.append(self.name)
            self.inner.restart()

    image = picture(40, 50)
    source, sink = ends(image, 1)
    fails = FailsOnce(5, torch.OutOfMemoryError("out of memory"))
    enlarge(runner(identity(fails=fails)), Noting(source, "source"), Noting(sink, "sink"), PLAN)
    assert calls == ["source", "sink"]


def test_progress_goes_from_none_to_all_and_starts_again_after_a_restart():
    heard: list[tuple[int, int]] = []
    network = identity(fails=FailsOnce(3, torch.OutOfMemoryError("out of memory")))
    plan, _ = run(network, picture(40, 50), on_tiles=lambda *done: heard.append(done))
    again = heard.index((0, plan.tiles))
    assert heard[:again] == [(0, 6), (1, 6)]
    assert heard[again:] == [(done, plan.tiles) for done in range(plan.tiles + 1)]


def test_without_trouble_the_plan_is_kept():
    network, image = seeing(3), picture(40, 50)
    plan, restored = run(network, image)
    assert plan is PLAN
    torch.testing.assert_close(restored, network(image[None])[0], atol=2e-6, rtol=0)
