"""The re-count of ``verify`` against the counts of the main path, and against figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from oracle.random_cases import random_case
from support.verified_results import HOMES, nodes

from picojoule.cost.floor import floor
from picojoule.cost.traffic import count_traffic
from picojoule.hardware import load_hardware
from picojoule.mapping.legality import tile_bits
from picojoule.mapping.mapping import Mapping
from picojoule.verification import chunks
from picojoule.verification.least import least, operand_reads, touched
from picojoule.verification.plan import legal_plan, tile_elements
from picojoule.verification.recount import compute_cycles, recount
from picojoule.workload.nest import Nest


@pytest.mark.parametrize("exact", [True, False])
def test_the_recount_equals_the_counts_of_the_main_path(exact):
    """Two programs that share nothing but the law: all accesses, the steps, the tiles and the floor of random cases."""
    compared = 0
    for seed in range(150):
        case = random_case(seed, exact=exact)
        nest, machine, bits = case.nest, case.accelerator, case.accelerator.bits
        plan = legal_plan(case.mapping.to_data(nest.dims), nest, machine, bits)
        for level in (None, *(level.name for level in machine.levels)):
            traffic = count_traffic(nest, machine, case.mapping, bits, busiest=level)
            again = recount(plan, nest, machine, first_of=level)
            for count in traffic.counts:
                if level in (None, count.level):
                    tally = again[count.level, count.tensor]
                    found = (tally.reads, tally.writes, tally.updates, sum(tally.bits(count.tensor, bits).values()))
                    assert found == (count.reads, count.writes, count.updates, count.bits), f"{level} {count} {case}"
                    compared += 1
        assert compute_cycles(plan, nest) == count_traffic(nest, machine, case.mapping, bits).temporal_steps
        room = tile_bits(nest, machine, case.mapping, bits)
        for tensor, path in plan.path.items():
            for name, place in path:
                assert (
                    tile_elements(plan, nest, machine, tensor, name, place) * bits.stored(tensor) == room[name, tensor]
                )
        bottom, other = least(nest, machine, bits), floor(nest, machine, bits)
        assert math.isclose(bottom.energy, other.energy, rel_tol=1e-12)
        assert math.isclose(bottom.cycles, other.cycles, rel_tol=1e-12)
    assert compared > 1000


def test_a_matrix_product_worked_out_by_hand():
    """K = 4 over 2 positions, C = 6 in chunks of 4: weights once, an input for both positions, sums out and back."""
    machine = load_hardware("eyeriss-normalized")
    nest = Nest(K=4, C=6)
    mapping = nodes(
        f"{HOMES} inputs@GLB outputs@GLB C4*2 K2*2:x K1*2 weights@weights_spad outputs@psum_spad C1*4 inputs@ifmap_spad"
    )
    again = recount(legal_plan(mapping, nest, machine, machine.bits), nest, machine)
    found = {key: (tally.reads, tally.writes, tally.updates) for key, tally in again.items()}
    assert found == {
        ("DRAM", "weights"): (24, 0, 0),
        ("DRAM", "inputs"): (6, 0, 0),
        ("DRAM", "outputs"): (0, 0, 4),
        ("GLB", "inputs"): (12, 6, 0),  # again for each of the 2 values of K inside, one read for both positions
        ("GLB", "outputs"): (4 + 4, 0, 8),  # out to DRAM, and back in for the second chunk of C
        ("weights_spad", "weights"): (24, 24, 0),
        ("ifmap_spad", "inputs"): (24, 24, 0),
        ("psum_spad", "outputs"): (8 + 20, 4, 24),  # out after each chunk of C; every MAC but the 4 first touches reads
    }


def test_a_window_worked_out_by_hand():
    """Rows 0–4 read by 3 windows of 3 at stride 1: 3 + 1 + 1 while it slides, 3 × 3 for the MACs."""
    machine = load_hardware("eyeriss-normalized")
    nest = Nest(P=3, R=3)
    mapping = nodes(
        f"{HOMES} inputs@GLB outputs@GLB P1*3 weights@weights_spad outputs@psum_spad inputs@ifmap_spad R1*3"
    )
    again = recount(legal_plan(mapping, nest, machine, machine.bits), nest, machine)
    assert (
        again["GLB", "inputs"].reads,
        again["ifmap_spad", "inputs"].writes,
        again["ifmap_spad", "inputs"].reads,
    ) == (5, 5, 9)
    padded = replace(nest, pad=(1, 0, 1, 0))
    again = recount(legal_plan(mapping, padded, machine, machine.bits), padded, machine)
    assert (again["GLB", "inputs"].reads, again["ifmap_spad", "inputs"].reads) == (3, 7)
    assert (touched(padded, "inputs"), operand_reads(padded, "inputs")) == (3, 7)


def test_sums_of_sets():
    assert chunks.sums(0b101, 0b11) == 0b1111
    assert chunks.sums(0b1, 0b1001) == 0b1001
    assert chunks.sums(0, 0b11) == 0


def test_the_mapping_of_the_main_path_reads_the_same_trips(results):
    for layer in results["given"].layers:
        if layer.mapping:
            assert layer.dims is not None
            assert Mapping.from_data(layer.mapping).to_data(layer.dims) == layer.mapping
