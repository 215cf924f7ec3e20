"""The counts by axis equal those of a run of the mapping, on random tiny layers × machines × mappings."""

from __future__ import annotations

import pytest
from oracle.execute import convolve, disagreements, execute
from oracle.random_cases import random_case

from picojoule.cost.traffic import count_traffic

BATCH = 50
EXACT_CASES, IMPERFECT_CASES = 500, 400
BATCHES = [(True, first) for first in range(0, EXACT_CASES, BATCH)] + [
    (False, first) for first in range(0, IMPERFECT_CASES, BATCH)
]


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_counted_traffic_is_what_the_run_moves(exact: bool, first: int) -> None:
    failed = []
    for seed in range(first, first + BATCH):
        case = random_case(seed, exact=exact)
        executed = execute(case.nest, case.accelerator, case.mapping)
        traffic = count_traffic(case.nest, case.accelerator, case.mapping)
        lines = disagreements(executed, traffic.counts, traffic.temporal_steps)
        if lines:
            failed.append((case.nest.macs, "\n  ".join([str(case), *lines])))
    assert not failed, f"{len(failed)} of {BATCH} cases; the smallest:\n{min(failed)[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False])
def test_counted_traffic_is_what_the_run_moves_on_many_larger_cases(exact: bool) -> None:
    for seed in range(10_000, 12_000):
        case = random_case(seed, exact=exact, most_macs=1500)
        executed = execute(case.nest, case.accelerator, case.mapping)
        traffic = count_traffic(case.nest, case.accelerator, case.mapping)
        lines = disagreements(executed, traffic.counts, traffic.temporal_steps)
        assert not lines, "\n  ".join([str(case), *lines])


@pytest.mark.parametrize(("exact", "first"), BATCHES)
def test_the_run_computes_the_layer_and_obeys_the_formulas_for_outputs(exact: bool, first: int) -> None:
    for seed in range(first, first + BATCH):
        case = random_case(seed, exact=exact)
        executed = execute(case.nest, case.accelerator, case.mapping)
        assert len(executed.macs) == len(set(executed.macs)) == case.nest.macs, case
        assert executed.outputs == convolve(case.nest), case

        flows = executed.flows
        levels = [node.level for node in case.mapping.nodes if getattr(node, "tensor", "") == "outputs"]
        assert flows[0].from_nothing == case.nest.elements("outputs"), case
        for level, parent, child in zip(levels, flows[:-1], flows[1:], strict=True):
            reads, writes, updates = executed.counts[level, "outputs"]
            sent_up = 0 if parent is flows[0] else parent.visits
            assert child.received == child.merged - parent.from_nothing, (case, flows)
            assert child.from_nothing == child.visits - child.received, (case, flows)
            assert updates == child.updates, (case, flows)
            assert reads == sent_up + child.updates - parent.from_nothing, (case, flows)
            assert writes == parent.received, (case, flows)
        for operand in ("weights", "inputs"):
            home = next(node.level for node in case.mapping.nodes if getattr(node, "tensor", "") == operand)
            assert executed.counts[home, operand][1:] == (0, 0), case
            assert executed.counts[home, operand][0] >= case.nest.elements(operand), case
