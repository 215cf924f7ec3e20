"""Small chains of layers, and a small machine, for tests of fusion."""

from __future__ import annotations

import random

from picojoule.hardware.accelerator import Accelerator, Axis, Engine, FanOut, Level, MacEnergy, operand_latch, uniform_energies
from picojoule.hardware.describe import accelerator_from_data, accelerator_to_data
from picojoule.workload.builtin.chain import Chain
from picojoule.workload.nest import TENSORS, Bits
from picojoule.workload.network import Network


def small_machine(
    buffer_bits: int, *, weights: bool = True, bandwidth: float | None = None, engine: bool = False
) -> Accelerator:
    """DRAM, a buffer, and 2 × 2 MACs with a register for sums."""
    own = Engine(axes=(Axis(name="g", size=2, dims=("G",)),)) if engine else None
    keeps = TENSORS if weights else ("inputs", "outputs")
    machine = Accelerator(
        name="small",
        hierarchy=(
            Level(
                name="DRAM", keeps=TENSORS, word_bits=8, energy_per_word=uniform_energies(read=100, write=100, update=100),
                read_bits_per_cycle=bandwidth, write_bits_per_cycle=bandwidth,
            ),
            Level(
                name="buffer", keeps=keeps, capacity_bits=buffer_bits, word_bits=8,
                energy_per_word=uniform_energies(read=5, write=5, update=5),
            ),
            FanOut(
                name="PE", axes=(Axis(name="x", size=2, dims=("K", "P")), Axis(name="y", size=2, dims=("C", "Q"))), depthwise=own
            ),
            operand_latch("sum", ("outputs",)),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=16),
        mac=MacEnergy(bits=8, multiply=1.0, add=0.2),
        clock_hz=1e9,
    )  # fmt: skip
    return accelerator_from_data(accelerator_to_data(machine), "small")


def random_chain(seed: int, layers: int) -> Network:
    """Pointwise, depthwise and plain convolutions with strides, paddings, and sums over two or three of them."""
    draw = random.Random(seed)
    chain = Chain(draw.choice((2, 3)), draw.choice((5, 6, 8)))
    entries = []
    for i in range(layers):
        entry = chain.at
        kind = draw.choice(("pw", "dw", "conv", "sum"))
        fitting = [one for one in entries if one.shape == chain.at.shape and one.maker != chain.at.maker]
        if kind == "sum" and fitting:
            chain.add(f"sum{i}", fitting[-1])
        elif kind == "dw" and chain.at.channels > 1:
            stride = draw.choice((1, 1, 2)) if chain.at.rows > 3 else 1
            chain.depthwise(f"dw{i}", 3, stride=stride, pad="same")
        elif kind == "conv":
            chain.conv(f"conv{i}", chain.at.channels, 3, pad="same")
        else:
            chain.conv(f"pw{i}", draw.choice((2, 3, chain.at.channels)), 1)
        entries.append(entry)
    return chain.network(f"chain{seed}", variant="", source="test")
