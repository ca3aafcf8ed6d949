import pytest
from axes import AXES
from hypothesis import given

from srcli.inference.geometry import Part, Span, TilePlan, part_axis, split_axis


def spans(*edges: tuple[int, int]) -> list[Span]:
    return [Span(start, stop) for start, stop in edges]


@pytest.mark.parametrize(
    ("length", "tile", "expected"),
    [
        (1, 1, [(0, 1)]),
        (3, 8, [(0, 3)]),
        (8, 8, [(0, 8)]),
        (9, 8, [(0, 4), (4, 9)]),
        (10, 5, [(0, 5), (5, 10)]),
        (11, 5, [(0, 3), (3, 7), (7, 11)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_an_axis_is_cut_into_the_fewest_even_spans(length, tile, expected):
    assert split_axis(length, tile) == spans(*expected)


@pytest.mark.parametrize(
    ("length", "tile", "halo", "feather", "multiple", "expected"),
    [
        # one tile: all is core
        (5, 8, 2, 4, 1, [((0, 5), (0, 5), (0, 5))]),
        # no halo, no feather
        (6, 3, 0, 0, 1, [((0, 3), (0, 3), (0, 3)), ((3, 6), (3, 6), (3, 6))]),
        # halo only, clipped at the borders
        (6, 3, 2, 0, 1, [((0, 3), (0, 3), (0, 5)), ((3, 6), (3, 6), (1, 6))]),
        # an odd feather: one pixel more after the border of the cores than before it
        (20, 10, 4, 3, 1, [((0, 10), (0, 12), (0, 16)), ((10, 20), (9, 20), (5, 20))]),
        # a feather larger than a core is cut down to it
        (4, 2, 1, 9, 1, [((0, 2), (0, 3), (0, 4)), ((2, 4), (1, 4), (0, 4))]),
        # reads begin and end at multiples, except at the border of the image
        (7, 6, 1, 2, 4, [((0, 4), (0, 5), (0, 7)), ((4, 7), (3, 7), (0, 7))]),
        (15, 11, 1, 2, 4, [((0, 8), (0, 9), (0, 12)), ((8, 15), (7, 15), (4, 15))]),
        # a multiple larger than the tile wins
        (7, 1, 0, 0, 4, [((0, 4), (0, 4), (0, 4)), ((4, 7), (4, 7), (4, 7))]),
    ],
)  # fmt: skip
def test_tiles_lie_where_the_drawing_says(length, tile, halo, feather, multiple, expected):
    parts = part_axis(length, tile, halo=halo, feather=feather, multiple=multiple)
    assert parts == [Part(*spans(*each)) for each in expected]


@given(AXES)
def test_cores_divide_the_axis(axis):
    cores = [part.core for part in part_axis(**axis)]
    assert [core.start for core in cores] == [0, *(core.stop for core in cores[:-1])]
    assert cores[-1].stop == axis["length"]
    largest = max(axis["tile"], axis["multiple"])
    assert all(1 <= core.length <= largest for core in cores)


@given(AXES)
def test_kept_areas_cover_their_cores_and_only_neighbours_share(axis):
    parts = part_axis(**axis)
    assert all(p.kept.start <= p.core.start < p.core.stop <= p.kept.stop for p in parts)
    shared = {a.kept.stop - b.kept.start for a, b in zip(parts, parts[1:], strict=False)}
    assert len(shared) <= 1 and all(0 <= width <= axis["feather"] for width in shared)
    assert all(a.kept.stop <= c.kept.start for a, c in zip(parts, parts[2:], strict=False))


@given(AXES)
def test_reads_lie_inside_the_image_and_give_the_whole_halo(axis):
    for part in part_axis(**axis):
        assert 0 <= part.read.start <= max(part.kept.start - axis["halo"], 0)
        assert min(part.kept.stop + axis["halo"], axis["length"]) <= part.read.stop
        assert part.read.stop <= axis["length"]


@given(AXES)
def test_reads_see_the_same_folds_as_the_whole_image(axis):
    for part in part_axis(**axis):
        assert part.read.start % axis["multiple"] == 0
        assert part.read.stop % axis["multiple"] == 0 or part.read.stop == axis["length"]


@given(AXES)
def test_reads_go_on_from_top_to_bottom(axis):
    parts = part_axis(**axis)
    for before, after in zip(parts, parts[1:], strict=False):
        assert before.read.start <= after.read.start <= before.read.stop <= after.read.stop


@given(AXES)
def test_cores_are_as_even_as_the_multiple_allows(axis):
    lengths = [part.core.length for part in part_axis(**axis)]
    assert max(lengths) - min(lengths) <= 2 * axis["multiple"] - (axis["multiple"] == 1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_images_have_plans(height, width):
    plan = TilePlan(height=height, width=width, tile=4, halo=64, feather=8)
    assert plan.tiles == -(-height // 4) * -(-width // 4)
    assert plan.largest == (height, width)


def test_a_plan_counts_its_tiles_and_knows_the_largest():
    plan = TilePlan(height=100, width=30, tile=40, halo=5, feather=2)
    assert (plan.tiles, plan.largest) == (3, (33 + 2 + 10, 30))
    assert plan.describe() == "3 tiles of 40 px, halo 5"


def test_spans_scale_and_count_from_others():
    assert Span(2, 5).scaled(4) == Span(8, 20)
    assert Span(12, 15).within(Span(10, 20)) == Span(2, 5)
