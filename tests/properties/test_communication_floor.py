"""Where memories are small, communication is part of the floor: no optimum lies below it, whichever level is passed by.

Layers have hundreds to thousands of MACs, memories room for a few elements, so that communication counts.
"""

from __future__ import annotations

import math
import random

import pytest
from oracle.random_machines import Problem
from oracle.random_zeros import minding, zeros_of

from picojoule.cost import boundaries
from picojoule.cost.floor import floor
from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import (
    Accelerator,
    Axis,
    FanOut,
    Level,
    MacEnergy,
    operand_latch,
    uniform_energies,
)
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.verification.least import least
from picojoule.workload.nest import TENSORS, Bits, Nest

TIE = 1e-9
SEARCH = Exact(time_limit_s=None, factors="exact")


def random_nest(rng: random.Random) -> Nest:
    taps, stride, dilation = rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2)), rng.choice((1, 1, 1, 2))
    pad = rng.choice((0, 0, (taps - 1) * dilation // 2))
    return Nest(
        N=rng.choice((1, 1, 2)), G=rng.choice((1, 1, 1, 2)), K=rng.choice((1, 4, 8, 12)), C=rng.choice((1, 4, 8, 12)),
        P=rng.choice((4, 6, 8)), Q=rng.choice((1, 4, 6)), R=taps, S=rng.choice((1, taps)), stride=(stride, stride),
        dilation=(dilation, dilation), pad=(pad, 0, pad, 0),
    )  # fmt: skip


def random_machine(rng: random.Random) -> tuple[Accelerator, Bits]:
    """DRAM and one to three small memories that some tensors may pass by, perhaps an array, perhaps latches."""
    bits = Bits(weights=rng.choice((4, 8)), inputs=8, outputs=rng.choice((8, 8, 5)), psums=rng.choice((8, 8, 19)))
    hierarchy: list[Level | FanOut] = [_level("DRAM", TENSORS, (), 100, None)]
    price = 20.0
    for i in range(rng.choice((1, 1, 2, 3))):
        keeps = TENSORS if rng.random() < 0.5 else tuple(t for t in TENSORS if rng.random() < 0.6)
        may_keep = tuple(t for t in TENSORS if t not in keeps and rng.random() < 0.7)
        if keeps or may_keep:
            least_bits = 2 * sum(bits.stored(t) for t in keeps + may_keep)
            capacity = least_bits + 8 * rng.choice((0, 5, 20, 60, 150))
            hierarchy.append(_level(f"L{i}", keeps, may_keep, price * rng.uniform(0, 1), capacity))
        price *= 0.4
    if rng.random() < 0.4:
        axes = (Axis(name="x", size=rng.choice((2, 4)), dims=tuple(rng.sample("KCPQRS", 4))),)
        fanout = FanOut(name="PE", axes=axes, multicast=rng.random() < 0.7, reduction=rng.random() < 0.7)
        hierarchy.insert(rng.randint(1, len(hierarchy)), fanout)
    if rng.random() < 0.2:
        hierarchy.append(operand_latch("latch", tuple(t for t in TENSORS if rng.random() < 0.5) or ("weights",)))
    machine = Accelerator(
        name="small", hierarchy=tuple(hierarchy), unit="pJ", bits=bits, mac=MacEnergy(bits=8, multiply=0.5)
    )
    return machine, bits


def _level(name: str, keeps: tuple[str, ...], may_keep: tuple[str, ...], price: float, capacity: int | None) -> Level:
    energies = uniform_energies(read=price, write=price, update=price)
    return Level(
        name=name, keeps=keeps, may_keep=may_keep, word_bits=8, energy_per_word=energies, capacity_bits=capacity
    )


def drawn(seed: int) -> tuple[Nest, Accelerator, Bits]:
    """A third of the machines mind zeros, wherever a description may say so."""
    rng = random.Random(f"communication {seed}")
    nest, (machine, bits) = random_nest(rng), random_machine(rng)
    if seed % 3 == 0:
        problem = Problem(seed=seed, nest=nest, machine=machine, bits=bits)
        machine = priced(minding(problem), nest, bits, zeros_of(seed))
    return nest, machine, bits


def rederived(seeds: range) -> int:
    """How many floors lie above what is compulsory; the code of the verifier agrees on each."""
    above = 0
    for seed in seeds:
        nest, machine, bits = drawn(seed)
        ours, theirs = floor(nest, machine, bits), least(nest, machine, bits)
        assert math.isclose(ours.energy, theirs.energy, rel_tol=TIE), seed
        assert math.isclose(ours.compulsory, theirs.compulsory, rel_tol=TIE), seed
        above += ours.energy > ours.compulsory * (1 + TIE)
    return above


def in_order(seeds: range) -> int:
    """How many floors lie above what is compulsory, none of them above what the search proves."""
    above = 0
    for seed in seeds:
        nest, machine, bits = drawn(seed)
        found = search_layer(nest, machine, bits, "energy", SEARCH)
        assert found.floor.compulsory <= found.floor.energy * (1 + TIE), seed
        assert found.floor.energy <= found.bound * (1 + TIE) + TIE, seed
        assert found.bound <= found.value, seed
        above += found.floor.energy > found.floor.compulsory * (1 + TIE)
    return above


def test_two_derivations_of_the_floor_agree() -> None:
    assert rederived(range(1000)) >= 150


def test_communication_that_is_a_twentieth_too_dear_or_too_cheap_is_caught(monkeypatch) -> None:
    right = boundaries.communication_cost
    for wrong in (1.05, 0.95):
        floor.cache_clear()
        monkeypatch.setattr(boundaries, "communication_cost", lambda *args, wrong=wrong: wrong * right(*args))
        with pytest.raises(AssertionError):
            rederived(range(100))
    floor.cache_clear()


def test_floor_bound_and_value_keep_their_order_where_memories_are_small() -> None:
    assert in_order(range(60)) >= 8


@pytest.mark.slow
def test_they_do_so_thousands_of_times() -> None:
    assert in_order(range(1000, 5000)) >= 600
