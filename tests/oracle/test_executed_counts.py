"""The counts by axis equal those of a run of the mapping, on random tiny layers × machines × mappings."""

from __future__ import annotations

from functools import cache

import pytest
from oracle.execute import Execution, convolve, disagreements, execute
from oracle.random_cases import Case, random_case

from picojoule.cost.traffic import Traffic, count_traffic
from picojoule.mapping.legality import check_legal, tile_bits
from picojoule.mapping.mapping import Keep

BATCH = 50
EXACT_CASES, IMPERFECT_CASES = 500, 400
BATCHES = [(True, first) for first in range(0, EXACT_CASES, BATCH)] + [
    (False, first) for first in range(0, IMPERFECT_CASES, BATCH)
]


@cache
def batch_run(exact: bool, first: int) -> list[tuple[Case, Execution]]:
    """Fifty cases and what running them did; every test below looks at the same ones."""
    cases = [random_case(seed, exact=exact) for seed in range(first, first + BATCH)]
    return [(case, execute(case.nest, case.accelerator, case.mapping)) for case in cases]


def home(case: Case, tensor: str) -> str:
    """The level where the tensor is at home: that of its first keep."""
    return next(n.level for n in case.mapping.nodes if isinstance(n, Keep) and n.tensor == tensor)


def differences(case: Case, executed: Execution, traffic: Traffic) -> list[str]:
    """What the claimed traffic has wrong, the split of updates into finished and partial ones included."""
    lines = disagreements(executed, traffic.counts, traffic.temporal_steps)
    finished = {(row.level, row.tensor): row.final_updates for row in traffic.counts if row.final_updates}
    if finished != {(home(case, "outputs"), "outputs"): len(executed.outputs)}:
        lines.append(f"finished outputs: ran {len(executed.outputs)}, claimed {finished}")
    return lines


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_counted_traffic_is_what_the_run_moves(exact: bool, first: int) -> None:
    failed = []
    for case, executed in batch_run(exact, first):
        lines = differences(case, executed, count_traffic(case.nest, case.accelerator, case.mapping))
        if lines:
            failed.append((case.nest.macs, "\n  ".join([str(case), *lines])))
    assert not failed, f"{len(failed)} of {BATCH} cases; the smallest:\n{min(failed)[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False])
def test_counted_traffic_is_what_the_run_moves_on_many_larger_cases(exact: bool) -> None:
    for seed in range(10_000, 12_000):
        case = random_case(seed, exact=exact, most_macs=1500)
        executed = execute(case.nest, case.accelerator, case.mapping)
        lines = differences(case, executed, count_traffic(case.nest, case.accelerator, case.mapping))
        assert not lines, "\n  ".join([str(case), *lines])


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_the_run_computes_the_layer_and_obeys_the_formulas_for_outputs(exact: bool, first: int) -> None:
    for case, executed in batch_run(exact, first):
        assert len(executed.macs) == len(set(executed.macs)) == case.nest.macs, case
        assert executed.outputs == convolve(case.nest), case

        flows = executed.flows
        levels = [n.level for n in case.mapping.nodes if isinstance(n, Keep) and n.tensor == "outputs"]
        assert flows[0].first_touches == case.nest.elements("outputs"), case
        for level, parent, child in zip(levels, flows[:-1], flows[1:], strict=True):
            sent_up = 0 if parent is flows[0] else parent.visits
            reads = sent_up + child.updates - parent.first_touches
            assert child.received == child.visits - child.first_touches, (case, flows)
            assert executed.counts[level, "outputs"] == (reads, parent.received, child.updates), (case, flows)
        for operand in ("weights", "inputs"):
            reads, writes, updates = executed.counts[home(case, operand), operand]
            assert reads >= case.nest.elements(operand), case
            assert (writes, updates) == (0, 0), case


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_a_tile_is_given_the_space_that_it_takes(exact: bool, first: int) -> None:
    for case, executed in batch_run(exact, first):
        check_legal(case.nest, case.accelerator, case.mapping)
        planned = tile_bits(case.nest, case.accelerator, case.mapping)
        assert planned.keys() == executed.capacity_bits.keys(), case
        for level, tensor in planned:
            needed = executed.capacity_bits[level, tensor]
            if level != home(case, tensor):
                assert planned[level, tensor] == needed, (case, level, tensor)
            assert executed.largest_tile_bits[level, tensor] <= needed, (case, level, tensor)
            if case.nest.pad == (0, 0, 0, 0):
                assert executed.largest_tile_bits[level, tensor] == needed, (case, level, tensor)


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_the_load_on_a_port_is_that_of_the_busiest_instance(exact: bool, first: int) -> None:
    for case, executed in batch_run(exact, first):
        for level in case.accelerator.levels:
            traffic = count_traffic(case.nest, case.accelerator, case.mapping, busiest=level.name)
            for row in traffic.counts:
                if row.level == level.name:
                    moved = executed.instance_bits[row.level, row.tensor]
                    assert row.bits == max(moved.values()), (case, row, moved)
