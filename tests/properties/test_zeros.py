"""What must hold of zeros on any machine and layer: gating, compression, skipping, and the three figures with them.

Machines are those of ``oracle/random_machines.py``, with random rules about zeros that descriptions allow.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from oracle.random_machines import Problem, random_problem
from oracle.random_zeros import minding, zeros_of

from picojoule.cost.waits import unit_fanouts
from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import Accelerator, Compression, Level
from picojoule.search.costed import evaluate, objective_value
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.nest import TENSORS
from picojoule.workload.zeros import DENSE, Zeros

TIE = 1e-9
UNLIMITED = Exact(time_limit_s=None)


def drawn(count: int, *, bandwidths: bool = False) -> list[Problem]:
    if bandwidths:
        return [random_problem(i, most_dims=3, most_macs=60, bandwidths=True) for i in range(count)]
    return [random_problem(i, most_dims=4, most_macs=150) for i in range(count)]


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_floor_bound_and_value_come_in_this_order(objective):
    proved = 0
    problems = drawn(12 if objective != "energy" else 30, bandwidths=objective != "energy")
    for problem in problems:
        machine = priced(minding(problem), problem.nest, problem.bits, zeros_of(problem.seed))
        found = search_layer(problem.nest, machine, problem.bits, objective, UNLIMITED)
        least = objective_value(objective, found.floor.energy, found.floor.cycles)
        assert least <= found.bound * (1 + TIE) + TIE, problem
        assert found.bound <= found.value, problem
        proved += found.status == "PROVED"
    assert proved >= 0.6 * len(problems)


def test_more_zeros_never_cost_more_energy_with_gating_alone():
    for problem in drawn(25):
        machine = minding(problem, compresses=False, skips=False)
        rng = random.Random(problem.seed)
        few = {tensor: rng.random() for tensor in TENSORS}
        more = {tensor: share + (1 - share) * rng.random() for tensor, share in few.items()}
        machines = [
            priced(machine, problem.nest, problem.bits, zeros) for zeros in (DENSE, Zeros(**few), Zeros(**more))
        ]
        values = [search_layer(problem.nest, one, problem.bits, "energy", UNLIMITED) for one in machines]
        for fewer, further in zip(values, values[1:], strict=False):
            assert further.bound <= fewer.value * (1 + TIE), problem
        # And the very same mapping costs no more, whatever the search finds.
        mapping = values[0].best.mapping
        energies = [evaluate(problem.nest, one, problem.bits, mapping).energy for one in machines]
        assert energies == sorted(energies, reverse=True), problem


def test_compression_of_dense_data_costs_its_metadata():
    """What every access moves grows by the metadata of an element, to the last bit, and nothing else changes."""
    compressed = 0
    for problem in drawn(40):
        machine = replace(minding(problem, skips=False), gating=())
        hierarchy = tuple(
            replace(
                entry,
                zeros=tuple(
                    replace(rule, gating=(), compression=rule.compression and replace(rule.compression, raw=False))
                    for rule in entry.zeros
                ),
            )
            if isinstance(entry, Level)
            else entry
            for entry in machine.hierarchy
        )
        machine = replace(machine, hierarchy=hierarchy)
        dense = priced(machine, problem.nest, problem.bits, DENSE)
        assert (dense.executed, dense.timed) == (1.0, 1.0)
        for level in machine.levels:
            for rule in level.zeros:
                if rule.compression is None:
                    continue
                compressed += 1
                width = problem.bits.of(rule.tensor)
                for direction in ("finish",) if rule.tensor == "outputs" else ("read", "write"):
                    share = dense.level(level.name).share(direction, rule.tensor)
                    assert share.moved == pytest.approx(1 + share.metadata)
                    assert share.metadata * width == pytest.approx(_metadata(rule.compression, width))
    assert compressed > 20


def _metadata(compression: Compression, width: int) -> float:
    """Of one element of dense data, by what each format writes."""
    if compression.format == "bitmap":
        return 1.0
    entry = width + compression.index_bits
    if compression.word_bits is not None:
        entry = compression.word_bits / (compression.word_bits // entry)
    return entry - width + compression.address_bits / compression.column


@pytest.mark.parametrize("objective", ["energy", "latency"])
def test_cycles_with_skipping_are_no_fewer_than_executed_macs_over_pes(objective):
    skipped = 0
    for problem in drawn(20):
        declared = minding(problem)
        machine = priced(declared, problem.nest, problem.bits, zeros_of(problem.seed))
        if not machine.skipping:
            continue
        found = search_layer(problem.nest, machine, problem.bits, objective, UNLIMITED)
        dense = None if _rooms(machine) else evaluate(problem.nest, problem.machine, problem.bits, found.best.mapping)
        executed = problem.nest.macs * machine.timed
        assert found.best.cycles >= executed / machine.pes * (1 - TIE), problem
        if dense is not None:
            assert found.best.cycles <= dense.cycles * (1 + TIE), problem
        skipped += machine.timed < 1 and bool(unit_fanouts(machine))
    assert skipped >= 4


def _rooms(machine: Accelerator) -> bool:
    return any(level.room_bits for level in machine.levels)
