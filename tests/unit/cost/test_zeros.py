"""Average sizes of compressed elements against codes written out literally, and what is left of MACs and accesses."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from support.zero_codes import bitmap_bits, run_length_entries

from picojoule.cost.zeros import priced, stored_size
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Compression, Level, ZeroRule
from picojoule.verification.zeros import densities_of, minding
from picojoule.workload.nest import Nest
from picojoule.workload.zeros import DENSE, Zeros

PADDED = Nest(K=4, C=3, P=5, Q=5, R=3, S=3, pad=(1, 1, 1, 1))
INSIDE = 13 * 13 / (15 * 15)
"""Of 15 pairs of window and tap along an axis 13 lie inside."""


@pytest.mark.parametrize("density", [0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("index_bits", [2, 4, 5])
def test_run_lengths_take_what_an_encoder_writes_for_random_zeros(density, index_bits):
    drawn = random.Random(f"{density} {index_bits}")
    elements = [float(drawn.random() < density) for _ in range(200_000)]
    size = stored_size(Compression(format="rlc", index_bits=index_bits), 16, density)
    written = run_length_entries(elements, index_bits) * (16 + index_bits) / len(elements)
    assert size.total == pytest.approx(written, rel=0.02)
    assert size.metadata == pytest.approx(size.total * index_bits / (16 + index_bits))


def test_a_bitmap_takes_a_bit_for_each_element():
    drawn = random.Random(1)
    elements = [float(drawn.random() < 0.3) for _ in range(100_000)]
    size = stored_size(Compression(format="bitmap"), 8, 0.3)
    assert size.total == pytest.approx(bitmap_bits(elements, 8) / len(elements), rel=0.02)


def test_dense_data_pay_for_their_metadata():
    rlc = Compression(format="rlc", index_bits=5, word_bits=64)
    assert stored_size(rlc, 16, 1.0).total == pytest.approx(64 / 3)
    csc = Compression(format="csc", index_bits=4, address_bits=7, column=32)
    assert stored_size(csc, 8, 1.0).total == pytest.approx(12 + 7 / 32)
    assert stored_size(csc, 8, 1.0).metadata == pytest.approx(4 + 7 / 32)
    assert stored_size(replace(csc, raw=True), 8, 1.0).total == 8
    assert stored_size(replace(csc, raw=True), 8, 0.5).total < 8
    wide = Compression(format="rlc", index_bits=4, word_bits=8)
    assert stored_size(wide, 16, 1.0).total == 24


def test_nothing_but_zeros_still_takes_entries():
    size = stored_size(Compression(format="rlc", index_bits=5), 16, 0.0)
    assert size.total == pytest.approx(21 / 32)
    assert stored_size(Compression(format="rlc", index_bits=5), 16, 1e-12).total == pytest.approx(21 / 32)


def _machine():
    plain = load_hardware("eyeriss-normalized")
    rules = {
        "DRAM": (ZeroRule(tensor="inputs", compression=Compression(format="rlc", index_bits=5, word_bits=64)),),
        "GLB": (ZeroRule(tensor="inputs", compression=Compression(format="bitmap", margin=1.25)),),
        "ifmap_spad": (ZeroRule(tensor="inputs", gating=("inputs",), skipping=("weights",)),),
        "weights_spad": (ZeroRule(tensor="weights", gating=("inputs",)),),
        "psum_spad": (ZeroRule(tensor="outputs", gating=("inputs",), skipping=("weights",)),),
    }
    hierarchy = tuple(replace(x, zeros=rules[x.name]) if isinstance(x, Level) else x for x in plain.hierarchy)
    return replace(plain, hierarchy=hierarchy, gating=("inputs",), skipping=("weights",))


def test_what_zeros_spare():
    zeros = Zeros(weights=0.5, inputs=0.2, outputs=0.9)
    machine = priced(_machine(), PADDED, _machine().bits, zeros)
    assert machine.executed == pytest.approx(0.5 * 0.8 * INSIDE)
    assert machine.timed == pytest.approx(0.5)
    spad = machine.level("ifmap_spad").share("read", "inputs")
    assert (spad.moved, spad.timed) == (pytest.approx(0.5 * 0.8), pytest.approx(0.5))
    weights = machine.level("weights_spad").share("read", "weights")
    assert (weights.moved, weights.timed) == (pytest.approx(0.8 * INSIDE), 1.0)
    assert machine.level("psum_spad").share("update", "outputs").moved == pytest.approx(0.5 * 0.8 * INSIDE)
    assert machine.level("psum_spad").share("return", "outputs").moved == pytest.approx(0.5 * 0.8 * INSIDE)
    assert machine.level("psum_spad").share("read", "outputs").moved == 1.0
    assert machine.level("ifmap_spad").share("write", "inputs").moved == 1.0
    assert machine.level("GLB").share("write", "inputs").moved == pytest.approx(0.8 + 1 / 16)
    assert machine.level("GLB").tile_bits("inputs", machine.bits) == 18  # (12.8 + 1) × 1.25, rounded up
    assert machine.level("GLB").tile_bits("outputs", machine.bits) == 16


def test_without_zeros_only_padding_is_spared():
    machine = priced(_machine(), replace(PADDED, pad=(0, 0, 0, 0)), _machine().bits, DENSE)
    assert (machine.executed, machine.timed) == (1.0, 1.0)
    assert priced(_machine(), PADDED, _machine().bits, DENSE).executed == pytest.approx(INSIDE)


def test_a_machine_that_minds_no_zeros_stays_as_it_is():
    plain = load_hardware("eyeriss-normalized")
    assert priced(plain, PADDED, plain.bits, Zeros(weights=0.9)) is plain


@pytest.mark.parametrize("seed", range(20))
def test_verification_derives_the_same_shares(seed):
    drawn = random.Random(seed)
    zeros = {t: drawn.choice([0.0, 1.0, drawn.random()]) for t in ("weights", "inputs", "outputs")}
    machine = _machine()
    ours = priced(machine, PADDED, machine.bits, Zeros.of(zeros))
    theirs = minding(machine, PADDED, machine.bits, densities_of(zeros))
    assert theirs.executed == pytest.approx(ours.executed)
    assert theirs.timed == pytest.approx(ours.timed)
    for mine, other in zip(ours.levels, theirs.levels, strict=True):
        assert mine.room_bits == other.room_bits
        for tensor in mine.keeps:
            for direction in ("read", "write", "update", "return", "finish"):
                one, two = mine.share(direction, tensor), other.share(direction, tensor)
                assert (one.moved, one.timed, one.metadata) == pytest.approx((two.moved, two.timed, two.metadata))
