"""Šíma's dataflows executed, and the bounds of whole layers on the two-level machine."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from picojoule.analysis.complexity import complexity_bounds, read_once_inputs, write_once_outputs
from picojoule.analysis.complexity.bounds import two_level
from picojoule.analysis.complexity.dataflows import (
    Buffer,
    dataflows_of,
    is_square,
    run_read_once_inputs,
    run_write_once_outputs,
)
from picojoule.cost.communication import Group, communication_accesses, compulsory_accesses, least_accesses, window_reuse
from picojoule.errors import HardwareError
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.workload.builtin import builtin_names, builtin_network
from picojoule.workload.nest import Nest

SIZES = [*itertools.product((1, 2, 3), (1, 2), (1, 2, 5), (1, 2, 3, 5), (1, 2, 3, 4))]


def convolved(inputs: np.ndarray, weights: np.ndarray, biases: np.ndarray, stride: int) -> np.ndarray:
    """The convolution as the document defines it, neuron by neuron."""
    p, q, r = weights.shape[:3]
    m = inputs.shape[1] // stride
    padded = np.pad(inputs, ((0, 0), (0, r), (0, r)))
    result = np.empty((p, m, m))
    for f, k, column in itertools.product(range(p), range(m), range(m)):
        window = padded[:, k * stride : k * stride + r, column * stride : column * stride + r]
        result[f, k, column] = biases[f] + (weights[f] * window).sum()
    return result


@pytest.mark.parametrize(
    ("run", "closed"),
    [(run_write_once_outputs, write_once_outputs), (run_read_once_inputs, read_once_inputs)],
)
def test_the_loops_compute_the_layer_and_count_what_the_closed_forms_say(run, closed) -> None:
    draw = np.random.default_rng(7)
    assert len(SIZES) == 288
    for p, q, m, r, s in SIZES:
        inputs = draw.integers(-3, 4, (q, m * s, m * s)).astype(float)
        weights, biases = draw.integers(-3, 4, (p, q, r, r)).astype(float), draw.integers(-3, 4, p).astype(float)
        outputs, passed = run(inputs, weights, biases, s)
        assert (outputs == convolved(inputs, weights, biases, s)).all()
        assert passed == closed(p, q, m, r, s)


def test_the_documents_closed_form_is_the_sum_of_its_parts() -> None:
    p, q, m, r, s = 96, 48, 27, 5, 2
    n = m * s
    assert write_once_outputs(p, q, m, r, s).total == p * (q * n**2 + m**2 + q * r**2 + 1)


def test_a_buffer_refuses_one_number_too_many() -> None:
    buffer = Buffer(2)
    buffer.take("inputs", 2)
    with pytest.raises(OverflowError, match="holds 3 numbers, 2 fit"):
        buffer.take("weights", 1)


def run_layer(nest: Nest, *, inputs_once: bool) -> dict[str, int]:
    """A dataflow of a layer as it is, in a buffer of ``held`` numbers: submaps and weights element by element."""
    s = nest.stride[0]
    buffer = Buffer(dataflows_of(nest)[0].most_held)

    def submaps():
        for i0, j0 in itertools.product(range(s), repeat=2):
            taps = list(itertools.product(range(i0, nest.R, s), range(j0, nest.S, s)))
            met = {
                (p * s + i - nest.pad[0], q * s + j - nest.pad[1])
                for p, q, (i, j) in itertools.product(range(nest.P), range(nest.Q), taps)
            }
            if taps:
                yield {(a, b) for a, b in met if 0 <= a < nest.input_rows and 0 <= b < nest.input_columns}, taps

    def meet(taps: list[tuple[int, int]]) -> None:
        for _ in taps:
            buffer.take("weights", 1)
            buffer.drop(1)

    def begin() -> None:
        buffer.take("biases", 1)
        buffer.drop(1)
        buffer.take(None, nest.P * nest.Q)

    for _ in range(nest.N * nest.G):
        if inputs_once:
            begun = set()
            for g, (submap, taps) in itertools.product(range(nest.C), list(submaps())):
                buffer.take("inputs", len(submap))
                for f in range(nest.K):
                    if f in begun:
                        buffer.take("outputs", nest.P * nest.Q)
                    else:
                        begin()
                        begun.add(f)
                    meet(taps)
                    buffer.drop(nest.P * nest.Q, "outputs")
                buffer.drop(len(submap))
        else:
            for f in range(nest.K):
                begin()
                for g, (submap, taps) in itertools.product(range(nest.C), list(submaps())):
                    buffer.take("inputs", len(submap))
                    meet(taps)
                    buffer.drop(len(submap))
                buffer.drop(nest.P * nest.Q, "outputs")
    return {**buffer.moved, "most_held": buffer.most}


def test_dataflows_of_layers_as_they_are_are_what_their_loops_count() -> None:
    """Fields that reach beyond m·s, padding, and strides that leave inputs out."""
    seen = 0
    for m, r, s, pad in itertools.product((1, 2, 4), (1, 2, 3, 5), (1, 2, 3), (0, 1)):
        if (m - 1) * s + r - 2 * pad < 1:
            continue
        nest = Nest(N=2, K=2, C=3, P=m, Q=m, R=r, S=r, stride=(s, s), pad=(pad,) * 4)
        for flow, inputs_once in zip(dataflows_of(nest), (False, True), strict=True):
            ran = run_layer(nest, inputs_once=inputs_once)
            assert ran == {kind: getattr(flow, kind) for kind in ran}
        seen += 1
    assert seen > 50


def test_a_layer_of_the_documents_shape_costs_what_its_closed_forms_say() -> None:
    p, q, m, r, s = 4, 3, 6, 5, 3
    nest = Nest(K=p, C=q, P=m, Q=m, R=r, S=r, stride=(s, s), pad=(0, 0, r - s, r - s))
    assert dataflows_of(nest) == (write_once_outputs(p, q, m, r, s), read_once_inputs(p, q, m, r, s))


def test_no_dataflow_undercuts_the_bound_of_a_buffer_that_has_room_for_it() -> None:
    """In no layer of a built-in network; the buffer holds exactly what the dataflows need."""
    nests = {layer.nest for name in builtin_names() for layer in builtin_network(name).layers}
    square = [nest for nest in nests if nest is not None and is_square(nest)]
    assert len(square) > 300
    for nest in square:
        write_once, read_once = dataflows_of(nest)
        bound = least_accesses(nest, max(write_once.most_held, 3))
        assert bound <= write_once.total
        assert bound <= read_once.total


def test_the_first_layer_of_alexnet_reads_all_227_rows_and_a_small_filter_not_all() -> None:
    """m·s would be 220; of 56 × 56 inputs a 1 × 1 filter with stride 2 meets 28 × 28."""
    layers = {layer.name: layer.nest for layer in builtin_network("alexnet").layers}
    first = next(nest for nest in layers.values() if nest is not None)
    assert dataflows_of(first)[0].total == 96 * (3 * 227**2 + 55**2 + 3 * 11**2 + 1) == 15_165_696
    small = Nest(K=512, C=256, P=28, Q=28, stride=(2, 2))
    assert dataflows_of(small)[0].inputs == 512 * 256 * 28**2
    assert dataflows_of(small)[1].outputs == 512 * 28**2 * (2 * 256 - 1)


def test_dataflows_are_refused_where_they_do_not_fit() -> None:
    with pytest.raises(ValueError, match="square layers"):
        dataflows_of(Nest(P=3, Q=2))
    for run in (run_read_once_inputs, run_write_once_outputs):
        with pytest.raises(ValueError, match="a multiple of the stride"):
            run(np.zeros((1, 7, 7)), np.zeros((1, 1, 3, 3)), np.zeros(1), 2)


def test_the_documents_table_of_buffers_for_alexnet() -> None:
    found = complexity_bounds(builtin_network("alexnet"), buffer_bits=64 * 8192, search=Exact(factors="exact"))
    convolutions = found.rows[:5]
    assert [row.m for row in convolutions] == [55, 27, 13, 13, 13]
    assert [row.needed for row in convolutions] == [6051, 1459, 339, 339, 339]
    for bits, kilobytes in ((8, (5.91, 1.42, 0.33)), (16, (11.82, 2.85, 0.66)), (32, (23.64, 5.70, 1.32))):
        assert tuple(round(n * bits / 8 / 1024, 2) for n in (6051, 1459, 339)) == kilobytes


def test_figures_stand_in_order_in_every_layer() -> None:
    found = complexity_bounds(builtin_network("squeezenet1.0"), buffer_bits=8 * 8192, search=Exact(factors="exact"))
    assert {row.status for row in found.rows} == {"PROVED"}
    for row in found.rows:
        lower = (row.lower_document, row.lower_triplets, row.lower_communication, row.compulsory)
        assert row.bound == max(lower) <= row.optimum_bound <= row.optimum
        assert row.lower_document <= row.lower_triplets
        if row.held is not None and row.held <= found.numbers:
            assert row.bound <= row.read_once
            assert row.optimum <= row.write_once == row.upper_document
    assert found.mean_ratio < 1.3
    assert found.worst.ratio < 2


def test_no_optimum_of_random_layers_undercuts_the_bound() -> None:
    draw = random.Random(11)
    ratios = []
    for _ in range(60):
        taps, stride, dilation = draw.randint(1, 4), draw.randint(1, 3), draw.randint(1, 2)
        pad = draw.randint(0, (taps - 1) * dilation // 2)
        nest = Nest(
            N=draw.randint(1, 2), G=draw.choice((1, 1, 2)), K=draw.randint(1, 12), C=draw.randint(1, 12),
            P=draw.randint(1, 12), Q=draw.randint(1, 12), R=taps, S=taps, stride=(stride, stride),
            dilation=(dilation, dilation), pad=(pad, pad, pad, pad),
        )  # fmt: skip
        room = draw.choice((3, 8, 30, 100, 400))
        machine = two_level(8 * room, 8)
        found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
        arithmetic = nest.macs * machine.mac.at(machine.bits)
        accesses = (found.value - arithmetic) / 64
        ratios.append(accesses / least_accesses(nest, room))
    assert min(ratios) >= 1 - 1e-9
    assert sum(ratio < 1.05 for ratio in ratios) >= 10, "bounds that are a twentieth too high would be caught"


def test_a_window_of_one_tap_reuses_nothing_whatever_the_stride() -> None:
    """R·S/s² would say a quarter."""
    assert window_reuse(Nest(P=4, Q=4, stride=(2, 2))) == 1
    assert window_reuse(Nest(P=4, Q=4, R=3, S=3)) == 9
    assert window_reuse(Nest(P=4, Q=4, R=3, S=3, stride=(2, 2))) == 4
    assert window_reuse(Nest(P=4, Q=4, R=3, S=3, stride=(2, 2), dilation=(2, 2))) == 9


def test_the_limit_of_a_product_is_that_of_the_literature() -> None:
    """2·MACs ÷ √S − 2·S for a large product of matrices, from which ours differs only in the last stretch."""
    nest, room = Nest(K=2048, C=2048, P=2048), 1024
    known = 2 * nest.macs / math.sqrt(room)
    assert known * 0.99 < communication_accesses(nest, room) < known * 1.01


def test_all_macs_have_all_elements() -> None:
    product, windows = Nest(G=3, K=4, C=5, P=6), Nest(G=3, K=4, C=5, P=6, R=2)
    for nest, inputs in ((product, 30), (windows, 30)):  # windows overlap as often as ρ = 2 says, but for the first row
        group = Group.of(nest, inputs=1, weights=1, outputs=1)
        assert group.needed(group.macs) == pytest.approx(inputs + nest.K * nest.C * nest.R + nest.K * nest.P)
        assert nest.elements("inputs") // nest.G - inputs in (0, 5)


def test_a_proved_optimum_lies_a_fiftieth_above_what_must_be_communicated() -> None:
    """Of a product of 256 × 4096 with 4096 × 256: outputs stay in tiles of 32 × 32. A communication bound that is a
    twentieth too high is caught here; layers that can be pebbled are too small for that."""
    nest, room = Nest(K=256, C=4096, P=256), 32 * 32 + 32 + 1
    machine = two_level(8 * room, 8)
    found = search_layer(nest, machine, machine.bits, "energy", Exact(time_limit_s=None, factors="exact"))
    accesses = (found.value - nest.macs * machine.mac.at(machine.bits)) / 64
    bound = communication_accesses(nest, room)
    assert found.status == "PROVED"
    assert compulsory_accesses(nest) < bound <= accesses < 1.025 * bound
    assert found.floor.energy <= found.bound < 1.025 * found.floor.energy


def test_a_buffer_must_hold_a_triplet() -> None:
    with pytest.raises(HardwareError, match="holds 2 numbers of 8 bits"):
        complexity_bounds(builtin_network("merkel:L1"), buffer_bits=16)
