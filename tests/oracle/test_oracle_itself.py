"""The oracle under test: runs worked out by hand, mappings it must refuse, faults it must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import oracle.execute
import oracle.program
import pytest
from oracle.execute import Execution, PartialSums, Tiles, convolve, disagreements, execute
from oracle.program import Holder, NotRunnable, Step, Time, coordinates, full_trips, walk
from oracle.random_cases import Case, random_case

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest

HOMES = tuple(Keep("L0", tensor) for tensor in TENSORS)


def level(name: str, *keeps: str) -> Level:
    energies = uniform_energies(read=1, write=1, update=1)
    return Level(name=name, keeps=keeps, word_bits=8, energy_per_word=energies)


def fanout(name: str = "F", *, size: int = 3, multicast: bool = True, reduction: bool = True) -> FanOut:
    return FanOut(name=name, axes=(Axis(name="x", size=size, dims=DIMS),), multicast=multicast, reduction=reduction)


def run(nest: Nest, inside: tuple[Level | FanOut, ...], *nodes: Node) -> Execution:
    """Run ``nodes`` on a machine whose L0 is home of all tensors."""
    machine = Accelerator(
        name="by hand",
        hierarchy=(level("L0", *TENSORS), *inside),
        unit="pJ",
        bits=Bits(weights=3, inputs=5, outputs=7, psums=19),
        mac=MacEnergy(bits=8, multiply=1.0),
    )
    return execute(nest, machine, Mapping((*HOMES, *nodes)))


# --- weights and inputs


@pytest.mark.parametrize(
    ("nest", "fetched", "fed"),
    [
        (Nest(P=4, R=3), 6, 12),  # rows 0-2, then 3, 4, 5
        (Nest(P=3, R=3, stride=(2, 1)), 7, 9),  # rows 0-2, then 3-4, 5-6
        (Nest(P=3, stride=(3, 1)), 3, 3),  # rows 0, 3, 6: those between are never touched
        (Nest(P=3, R=2, stride=(2, 1), dilation=(2, 1)), 4, 6),  # rows 0 2, then 4, then 6
        (Nest(P=3, R=2, dilation=(2, 1)), 6, 6),  # rows 0 2, then 1 3, then 2 4: row 2 is gone by then
        (Nest(P=4, R=3, pad=(1, 0, 1, 0)), 4, 10),  # 4 rows: 0 1, then 2, then 3, then nothing; 2 taps in padding
    ],
)
def test_a_sliding_window_fetches_what_the_previous_tile_had_not(nest: Nest, fetched: int, fed: int) -> None:
    done = run(nest, (level("L1", "inputs"),), Loop("P", 1), Keep("L1", "inputs"), Loop("R", 1))
    assert done.counts["L0", "inputs"] == (fetched, 0, 0)
    assert done.counts["L1", "inputs"] == (fed, fetched, 0)


def test_a_window_that_starts_again_is_fetched_again() -> None:
    inside = (level("L1", "inputs"),)
    again = run(Nest(P=4, R=3, K=2), inside, Loop("K", 1), Loop("P", 1), Keep("L1", "inputs"), Loop("R", 1))
    assert again.counts["L1", "inputs"][1] == 2 * 6
    split = run(Nest(P=4, R=3), inside, Loop("P", 2), Loop("P", 1), Keep("L1", "inputs"), Loop("R", 1))
    assert split.counts["L1", "inputs"][1] == 3 + 1 + 3 + 1
    over_k = run(Nest(P=4, R=3, K=2), inside, Loop("P", 1), Loop("K", 1), Keep("L1", "inputs"), Loop("R", 1))
    assert over_k.counts["L1", "inputs"][1] == 6  # an irrelevant loop below the fetch loop: the tile stays


def test_a_loop_of_one_trip_is_no_loop() -> None:
    inside = (level("L1", "inputs"),)
    slid = (Loop("P", 1), Loop("C", 2), Loop("R", 3), Keep("L1", "inputs"), Loop("R", 1), Loop("C", 1))
    done = run(Nest(P=4, R=3, C=2), inside, *slid)
    assert done.counts["L1", "inputs"][1] == 2 * 6
    assert done.steps == 24


def test_tiles_of_different_tensors_may_end_at_different_loops() -> None:
    inside = (level("L1", "weights", "inputs"),)
    nodes = (Keep("L1", "weights"), Loop("P", 1), Keep("L1", "inputs"), Loop("K", 1), Loop("R", 1))
    done = run(Nest(P=4, R=3, K=2), inside, *nodes)
    assert done.counts["L1", "weights"] == (24, 6, 0)
    assert done.counts["L1", "inputs"] == (24, 6, 0)
    assert done.capacity_bits == {
        ("L0", "weights"): 18,
        ("L0", "inputs"): 30,
        ("L0", "outputs"): 152,
        ("L1", "weights"): 18,
        ("L1", "inputs"): 15,
    }
    assert done.bits["L1", "weights"] == 30 * 3


def test_the_space_of_a_tile_counts_its_padding() -> None:
    inside = (level("L1", "inputs"),)
    halves = (Loop("P", 2), Keep("L1", "inputs"), Loop("P", 1), Loop("R", 1))
    done = run(Nest(P=4, R=3, pad=(1, 0, 1, 0)), inside, *halves)
    assert done.capacity_bits["L1", "inputs"] == 4 * 5
    assert done.largest_tile_bits["L1", "inputs"] == 3 * 5


@pytest.mark.parametrize(("multicast", "shared", "windows"), [(True, 2, 5), (False, 6, 9)])
def test_multicast_reads_each_distinct_element_once(multicast: bool, shared: int, windows: int) -> None:
    inside = (fanout(multicast=multicast), level("L1", "inputs"))
    same = run(Nest(K=3, C=2), inside, Loop("C", 1), Spread("K", 1, "F", "x"), Keep("L1", "inputs"))
    assert same.counts["L0", "inputs"] == (shared, 0, 0)
    assert same.counts["L1", "inputs"] == (6, 6, 0)
    overlapping = run(Nest(P=3, R=3), inside, Spread("P", 1, "F", "x"), Keep("L1", "inputs"), Loop("R", 1))
    assert overlapping.counts["L0", "inputs"] == (windows, 0, 0)
    assert overlapping.counts["L1", "inputs"] == (9, 9, 0)


def test_only_the_fanout_that_lacks_multicast_pays_its_positions() -> None:
    inside = (fanout("F", multicast=False), fanout("H"), level("L1", "inputs"))
    nodes = (Spread("K", 3, "F", "x"), Spread("K", 1, "H", "x"), Keep("L1", "inputs"))
    done = run(Nest(K=6), inside, *nodes)
    assert done.counts["L0", "inputs"] == (2, 0, 0)
    assert done.counts["L1", "inputs"] == (6, 6, 0)


def test_every_mac_reads_its_operands_anew() -> None:
    done = run(Nest(N=3), (), Loop("N", 1))
    assert done.counts["L0", "weights"] == (3, 0, 0)


@pytest.mark.parametrize(("multicast", "reads"), [(True, 2), (False, 5)])
def test_an_idle_position_receives_nothing(multicast: bool, reads: int) -> None:
    inside = (fanout(multicast=multicast), level("L1", "weights"))
    done = run(Nest(K=5), inside, Spread("K", 2, "F", "x"), Loop("K", 1), Keep("L1", "weights"))
    assert done.steps == 2
    assert len(done.macs) == 5
    assert done.counts["L0", "inputs"] == (reads, 0, 0)
    assert done.counts["L1", "weights"] == (5, 5, 0)


# --- outputs


def test_the_first_touch_of_an_output_moves_nothing_in() -> None:
    done = run(Nest(K=2, C=3), (level("L1", "outputs"),), Loop("C", 1), Loop("K", 1), Keep("L1", "outputs"))
    assert done.counts["L0", "outputs"] == (4, 0, 6)
    assert done.counts["L1", "outputs"] == (6 + 4, 4, 6)
    assert done.bits["L0", "outputs"] == 4 * 19 + 4 * 19 + 2 * 7  # read back, updated early, finished
    assert done.bits["L1", "outputs"] == 20 * 19


def test_a_stationary_output_goes_out_once() -> None:
    done = run(Nest(K=2, C=3), (level("L1", "outputs"),), Loop("K", 1), Loop("C", 1), Keep("L1", "outputs"))
    assert done.counts["L0", "outputs"] == (0, 0, 2)
    assert done.counts["L1", "outputs"] == (2 + 4, 0, 6)


@pytest.mark.parametrize(("reduction", "home"), [(True, (2, 0, 4)), (False, (10, 0, 12))])
def test_every_copy_is_written_when_the_running_sum_comes_back(reduction: bool, home: tuple[int, int, int]) -> None:
    inside = (fanout(reduction=reduction), level("L1", "outputs"))
    nodes = (Loop("C", 3), Loop("K", 1), Spread("C", 1, "F", "x"), Keep("L1", "outputs"))
    done = run(Nest(K=2, C=6), inside, *nodes)
    assert done.counts["L0", "outputs"] == home
    assert done.counts["L1", "outputs"] == (12 + 6, 6, 12)  # 6 copies; the MACs start 6 sums and read 6 back
    assert done.instance_bits["L1", "outputs"] == dict.fromkeys([(0,), (1,), (2,)], (6 + 2 + 4) * 19)


def test_only_the_fanout_that_lacks_reduction_pays_its_positions() -> None:
    inside = (fanout("F"), fanout("H", reduction=False), level("L1", "outputs"))
    nodes = (Spread("C", 2, "F", "x"), Spread("C", 1, "H", "x"), Keep("L1", "outputs"))
    done = run(Nest(C=6), inside, *nodes)
    assert done.counts["L0", "outputs"] == (1, 0, 2)
    assert done.counts["L1", "outputs"] == (6, 0, 6)


def test_macs_reduced_in_space_update_once() -> None:
    nodes = (Spread("C", 2, "F", "x"), Loop("C", 1))
    reduced = run(Nest(C=6), (fanout(),), *nodes)
    assert reduced.counts["L0", "outputs"] == (1, 0, 2)
    alone = run(Nest(C=6), (fanout(reduction=False),), *nodes)
    assert alone.counts["L0", "outputs"] == (5, 0, 6)


# --- mappings that can't run


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        ((Loop("K", 2), Keep("L1", "weights")), "left with the ranges"),
        ((Loop("K", 1), Keep("L1", "weights"), Keep("L1", "weights")), "once each"),
        ((Loop("K", 1), Keep("L1", "weights"), Keep("L0", "weights")), "outermost first"),
        ((Loop("K", 1),), "must keep"),
        ((Loop("K", 1), Keep("L1", "weights"), Keep("L1", "inputs")), "can't keep"),
        ((Spread("K", 1, "F", "x"), Keep("L1", "weights")), "does not fit"),
    ],
)
def test_illegal_mappings_are_refused(nodes: tuple[Node, ...], complaint: str) -> None:
    with pytest.raises(NotRunnable, match=complaint):
        run(Nest(K=4), (fanout(), level("L1", "weights")), *nodes)


# --- faults that must show: in a claim, in a rule

CASES = [random_case(seed, exact=seed % 2 == 0) for seed in range(1000, 1120)]


def ran(case: Case) -> Execution:
    return execute(case.nest, case.accelerator, case.mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    level: str
    tensor: str
    reads: int
    writes: int
    updates: int
    bits: int


def rows(done: Execution) -> list[Row]:
    return [
        Row(level=name, tensor=tensor, reads=r, writes=w, updates=u, bits=done.bits[name, tensor])
        for (name, tensor), (r, w, u) in done.counts.items()
    ]


def test_a_claim_with_one_number_off_is_noticed() -> None:
    done = ran(CASES[0])
    claimed = rows(done)
    assert disagreements(done, claimed, done.steps) == []
    assert disagreements(done, reversed(claimed), done.steps) == []
    assert len(disagreements(done, claimed, done.steps + 1)) == 1
    for i, row in enumerate(claimed):
        for name in ("reads", "writes", "updates", "bits"):
            off = replace(row, **{name: getattr(row, name) + 1})
            assert len(disagreements(done, [*claimed[:i], off, *claimed[i + 1 :]], done.steps)) == 1
        assert len(disagreements(done, [*claimed[:i], *claimed[i + 1 :]], done.steps)) == 1
    assert len(disagreements(done, [*claimed, replace(claimed[0], level="L9")], done.steps)) == 1


# Each fault is a rule of counting.md got wrong. The random cases must tell it from the rule: then the same
# mistake in the counts under test would show as well.
TRUE_BEGIN = oracle.execute.PartialSums.begin
TRUE_TAKES_BACK = oracle.execute.takes_back
TRUE_STILL_THERE = oracle.execute.still_there
TRUE_TILES = oracle.execute.tiles_by_visit
TRUE_PLACE = oracle.execute.Movement.place_without
RELEVANT_LOOPS = oracle.program.WHO_SELECTS


def bounding_boxes(nest: Nest, holder: Holder, steps: list[Step]) -> dict[Time, Tiles]:
    visits = TRUE_TILES(nest, holder, steps)
    for visit in visits.values():
        for tile in visit.values():
            if holder.tensor == "inputs" and tile:
                rows_, columns = ({e[axis] for e in tile} for axis in (3, 4))
                box = product(range(min(rows_), max(rows_) + 1), range(min(columns), max(columns) + 1))
                tile.update((*channel, *place) for channel, place in product({e[:3] for e in tile}, box))
    return visits


def zeros_first(self: PartialSums, depth: int, tiles: Tiles, previous: Time | None) -> None:
    if depth:
        for instance, tile in tiles.items():
            self.held_before[depth].update((instance, e) for e in tile)
            for e in tile:
                self.contents[depth - 1][self.parent_of(depth, instance)].setdefault(e, 0)
    TRUE_BEGIN(self, depth, tiles, previous)


def ability_everywhere(ability: str) -> Callable[..., tuple[int, ...]]:
    return lambda self, depth, instance, asked: () if asked == ability else TRUE_PLACE(self, depth, instance, asked)


FAULTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "tiles are bounding boxes": (oracle.execute, "tiles_by_visit", bounding_boxes),
    "padding is stored": (oracle.execute, "element", coordinates),
    "windows never slide": (oracle.execute, "still_there", lambda *_: False),
    "windows survive a restart": (
        oracle.execute,
        "still_there",
        lambda holder, previous, now: holder.slides and previous is not None,
    ),
    "operands stay in the MACs": (
        oracle.execute,
        "still_there",
        lambda holder, previous, now: holder.level is None or TRUE_STILL_THERE(holder, previous, now),
    ),
    "every loop fetches": (oracle.program, "is_fetch_loop", lambda node, trips, tensor: trips > 1),
    "a loop of one trip fetches": (
        oracle.program,
        "is_fetch_loop",
        lambda node, trips, tensor: node.dim in RELEVANT_LOOPS[tensor],
    ),
    "every fan-out multicasts": (oracle.execute.Movement, "place_without", ability_everywhere("multicast")),
    "every fan-out reduces": (oracle.execute.Movement, "place_without", ability_everywhere("reduction")),
    "the first touch reads a zero": (oracle.execute.PartialSums, "begin", zeros_first),
    "running sums stay outside": (oracle.execute, "takes_back", lambda *_: []),
    "only one copy is written": (oracle.execute, "takes_back", lambda *args: TRUE_TAKES_BACK(*args)[:1]),
}


@pytest.fixture(scope="module")
def truth() -> list[Execution]:
    return [ran(case) for case in CASES]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_random_cases_tell_a_wrong_rule_from_the_right_one(
    fault: str, truth: list[Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, wrong = FAULTS[fault]
    monkeypatch.setattr(place, name, wrong)
    noticed = 0
    for case, right in zip(CASES, truth, strict=True):
        try:
            done = ran(case)
        except NotRunnable:  # a value is missing where the wrong rule looks for it
            noticed += 1
        else:
            noticed += bool(disagreements(right, rows(done), done.steps))
    assert noticed >= 2, f"only {noticed} of {len(CASES)} cases notice that {fault}"


def test_a_step_left_out_shows_in_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    nest = Nest(K=2, C=3)
    assert run(nest, (), Loop("C", 1), Loop("K", 1)).outputs == convolve(nest)
    monkeypatch.setattr(oracle.execute, "walk", lambda nest, mapping: list(walk(nest, mapping))[:-1])
    done = run(nest, (), Loop("C", 1), Loop("K", 1))
    assert len(done.macs) == 5
    assert done.outputs != convolve(nest)


def test_a_fetch_of_what_the_parent_has_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = (level("L1", "weights"), level("L2", "weights"))
    nodes = (Keep("L1", "weights"), Loop("K", 1), Keep("L2", "weights"))
    run(Nest(K=2), inside, *nodes)

    def nothing_at_l1(nest: Nest, holder: Holder, steps: list[Step]) -> dict[Time, Tiles]:
        tiles = TRUE_TILES(nest, holder, steps)
        return {visit: dict.fromkeys(tiles[visit], set()) for visit in tiles} if holder.level == "L1" else tiles

    monkeypatch.setattr(oracle.execute, "tiles_by_visit", nothing_at_l1)
    with pytest.raises(NotRunnable, match="its parent does not hold"):
        run(Nest(K=2), inside, *nodes)


# --- the random cases themselves


def test_only_the_imperfect_cases_have_short_chunks() -> None:
    def short_chunks(case: Case) -> int:
        arriving = dict(case.nest.dims)
        short = 0
        for node, _ in full_trips(case.nest, case.mapping):
            if not isinstance(node, Keep):
                short += arriving[node.dim] % node.tile != 0
                arriving[node.dim] = min(node.tile, arriving[node.dim])
        return short

    assert not any(short_chunks(case) for case in CASES if case.exact)
    assert sum(1 for case in CASES if not case.exact and short_chunks(case)) >= 15


def test_a_seed_names_one_case() -> None:
    assert random_case(7, exact=True) == random_case(7, exact=True)
    assert len({str(case) for case in CASES}) == len(CASES)
