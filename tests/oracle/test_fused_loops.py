"""Fused layers against their loops executed tile by tile, and the grouping against all groupings there are."""

from __future__ import annotations

import itertools
import math

import pytest
from oracle.fused_loops import claimed, run_group
from support.chains import random_chain, small_machine

import picojoule
from picojoule.errors import UsageError
from picojoule.estimation.fusion import LONGEST
from picojoule.search.fuse import Fuser, tilings
from picojoule.search.grouping import best_cuts, cheapest
from picojoule.search.many import search_layers
from picojoule.workload.chains import Chains
from picojoule.workload.zeros import Zeros

EXACT = picojoule.Exact(time_limit_s=None, factors="exact")
SIZES = (1500, 3000, 6000, 20000)


def estimated(seed: int, layers: int = 4, objective: str = "energy", fuse: str = "auto", **machine: object) -> picojoule.Estimate:
    hardware = small_machine(SIZES[seed % len(SIZES)], **machine)  # type: ignore[arg-type]
    return picojoule.estimate(random_chain(seed, layers), hardware=hardware, objective=objective, search=EXACT, fuse=fuse, cache=False)


def compare(result: picojoule.Estimate, machine: object) -> set[tuple[str, str]]:
    """Runs every group; returns the kinds that were seen."""
    seen = set()
    for entry in result.groups:
        rows = [row for row in result.layers if row.group == entry["name"]]
        ran = run_group(result, entry, machine)
        assert {k: n for k, n in ran.moved.items() if n} == dict(claimed(rows))
        assert sum(ran.macs.values()) == entry["macs_executed"]
        resident = sum(r.dims["G"] * r.dims["K"] * r.dims["C"] * r.dims["R"] * r.dims["S"] * 8 for r in rows if r.dims)
        more = resident if entry["weights"] == "resident" else 0
        assert [ran.most_bits[row.name] + more for row in rows] == entry["taken_bits"]
        seen.add((entry["halo"], entry["weights"]))
    return seen


def test_counts_are_those_of_the_executed_loops():
    seen: set[tuple[str, str]] = set()
    for seed in range(12):
        machine = small_machine(SIZES[seed % len(SIZES)], weights=seed % 3 != 0)
        result = picojoule.estimate(random_chain(seed, 4), hardware=machine, search=EXACT, fuse="auto", cache=False)
        seen |= compare(result, machine)
    assert {("kept", "streamed"), ("kept", "resident"), ("none", "streamed")} <= seen


def test_tiles_that_recompute_their_halo_are_those_of_the_executed_loops(monkeypatch):
    """Line buffers cost less wherever they fit: here they are taken away."""
    from picojoule.search import fuse

    monkeypatch.setattr(fuse, "tilings", lambda *a: [t for t in tilings(*a) if not t.line_buffers])
    seen: set[tuple[str, str]] = set()
    again = 0
    for seed in range(8):
        machine = small_machine(SIZES[seed % 3])
        result = picojoule.estimate(random_chain(seed, 3), hardware=machine, search=EXACT, fuse="auto", cache=False)
        seen |= compare(result, machine)
        assert picojoule.verify(result).ok
        again += sum(g["macs_executed"] > sum(r.macs for r in result.layers if r.group == g["name"]) for g in result.groups)
    assert {halo for halo, _ in seen} == {"recomputed"} and again


@pytest.mark.parametrize("objective", ["energy", "latency"])
@pytest.mark.parametrize("seed", range(8))
def test_no_grouping_costs_less(seed, objective):
    """All ways to cut a chain, each group by all of its tilings with nothing set aside."""
    machine = small_machine(SIZES[seed % len(SIZES)], bandwidth=16, engine=seed % 2 == 1)
    network = random_chain(seed, 3 + seed % 6 if seed != 5 else 6)
    count = len(network.layers)
    assert count <= LONGEST
    alone = picojoule.estimate(network, hardware=machine, objective=objective, search=EXACT, cache=False)
    widths = [machine.bits] * count
    chains = Chains(network, widths, [Zeros()] * count)

    def search(on, wanted):
        return search_layers(wanted, on, objective, EXACT)

    costs = {(i, i + 1): row.value for i, row in enumerate(alone.layers)}
    for first, end in itertools.combinations(range(count + 1), 2):
        if end - first > 1 and chains.hindrance(first, end) is None:
            fuser = Fuser(machine, objective, EXACT, search)
            members = chains.members(first, end)
            each = [fuser.solve(tiling) for tiling in tilings(members, machine, objective)]
            costs[first, end] = min((one.value for one in each if one), default=math.inf)
    least = math.inf
    for k in range(count):
        for inner in itertools.combinations(range(1, count), k):
            cuts = list(itertools.pairwise((0, *inner, count)))
            least = min(least, math.fsum(costs.get(cut, math.inf) for cut in cuts))
    best = picojoule.estimate(network, hardware=machine, objective=objective, search=EXACT, fuse="auto", cache=False)
    assert best.value == pytest.approx(least, rel=1e-9)
    assert best.fusion["status"] == "PROVED" or best.gap < 0.05
    assert best.value <= alone.value * (1 + 1e-12)
    assert picojoule.verify(best).ok, picojoule.verify(best).failed


def test_the_shortest_path_is_the_least_of_all_ways_to_cut():
    import random

    draw = random.Random(3)
    for _ in range(200):
        count = draw.randint(1, 8)
        costs = {c: draw.choice((1.0, 2.0, 3.5, math.inf)) * (c[1] - c[0]) ** 0.7 for c in itertools.combinations(range(count + 1), 2)}
        ways = [
            math.fsum(costs[c] for c in itertools.pairwise((0, *inner, count)))
            for k in range(count)
            for inner in itertools.combinations(range(1, count), k)
        ]
        found, pieces = cheapest(count, costs)
        assert found == pytest.approx(min(ways))
        if pieces:
            assert [pieces[0][0], pieces[-1][1]] == [0, count]


def test_pieces_are_made_exact_only_where_they_must_be():
    class Rough:
        def __init__(self, bound, value):
            self.bound, self.hidden, self.value, self.settled = bound, value, math.inf, False

        def refine(self):
            self.bound = self.value = self.hidden
            self.settled = True

    pieces = {(0, 1): Rough(1, 2), (1, 2): Rough(1, 2), (0, 2): Rough(5, 6)}
    assert best_cuts(2, pieces) == (4, 4, [(0, 1), (1, 2)])
    assert not pieces[0, 2].settled


@pytest.mark.parametrize(
    ("fuse", "message"),
    [
        ("nothing*+pw*", "matches no layers"),
        ("pw1", "names of layers joined by"),
        ("+pw1", "a part of the pattern"),
        ("conv0+sum2", "matches no layers|can't be fused"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_in_words(fuse, message):
    with pytest.raises(UsageError, match=message):
        estimated(1, fuse=fuse)
