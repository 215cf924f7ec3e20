"""What zeros spare, derived anew from what a machine declares; the law is ``docs/explanation/counting.md``.

Runs of zeros are added up run by run here, and shares of MACs are put together from the operands that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from picojoule.hardware.accelerator import Accelerator, Compression, Level, Share, ZeroRule
from picojoule.verification.least import operand_reads
from picojoule.verification.outcome import differing, refute_differences, same
from picojoule.verification.plan import Refuted
from picojoule.workload.nest import TENSORS, Bits, Nest

EnergyAt = Callable[[float], float]
"""Energy of a layer whose tensors all have this density of nonzeros."""

Densities = Mapping[str, float]


def densities_of(zeros: Mapping[str, float] | None) -> dict[str, float]:
    """Shares of nonzeros by tensor; all of it where nothing is known."""
    return {tensor: 1.0 - (zeros or {}).get(tensor, 0.0) for tensor in TENSORS}


def minding(machine: Accelerator, nest: Nest | None, bits: Bits, densities: Densities) -> Accelerator:
    """The machine with what zeros spare in a layer; ``nest`` is None where it only moves data."""
    if not machine.minds_zeros:
        return machine
    # Of the MACs those on padding have a zero for an input, which nobody stores or reads.
    padded = 1.0 if nest is None else operand_reads(nest, "inputs") / nest.macs
    left = {"weights": densities["weights"], "inputs": padded * densities["inputs"]}

    def of_macs(operands: Sequence[str]) -> float:
        share = 1.0
        for tensor in left:
            share *= left[tensor] if tensor in operands else 1.0
        return share

    levels = tuple(
        _level(entry, machine, bits, densities, of_macs, padded) if isinstance(entry, Level) else entry
        for entry in machine.hierarchy
    )
    both = (*machine.gating, *machine.skipping)
    return replace(
        machine,
        hierarchy=levels,
        executed=of_macs(both),
        timed=machine.timed * of_macs(machine.skipping),
        density=tuple((tensor, densities[tensor]) for tensor in machine.skipping),
    )


def _level(
    level: Level,
    machine: Accelerator,
    bits: Bits,
    densities: Densities,
    of_macs: Callable[[Sequence[str]], float],
    padded: float,
) -> Level:
    shares: list[tuple[tuple[str, str], Share]] = []
    rooms: list[tuple[str, int]] = []
    for rule in level.zeros:
        tensor, width, density = rule.tensor, bits.of(rule.tensor), densities[rule.tensor]
        moved, metadata = _stored(rule.compression, width, density)
        if rule.compression is not None and machine.home(tensor).name != level.name:
            rooms.append((tensor, _room(rule.compression, width, density)))
        for direction in _directions(rule):
            energy, time = moved / width, moved / width
            spared = 1.0
            if direction in ("update", "return") or (direction == "read" and tensor != "outputs"):
                # What is never read for padding can't be spared there.
                outside = padded if tensor == "inputs" else 1.0
                mind = of_macs((*rule.gating, *rule.skipping)), of_macs(rule.skipping)
                if "inputs" in (*rule.gating, *rule.skipping):
                    mind = mind[0] / outside, mind[1] / (outside if "inputs" in rule.skipping else 1.0)
                spared, time = mind[0], time * mind[1]
            shares.append(
                ((direction, tensor), Share(moved=energy * spared, timed=time, metadata=metadata / width * spared))
            )
    return replace(level, shares=tuple(shares), room_bits=tuple(rooms))


def _directions(rule: ZeroRule) -> tuple[str, ...]:
    if rule.tensor != "outputs":
        return "read", "write"
    # Partial sums stay as they are: only what is finished is compressed, only what the MACs exchange is spared.
    return ("finish",) if rule.compression is not None else ("update", "return")


def _stored(compression: Compression | None, width: int, density: float) -> tuple[float, float]:
    """Bits of an element, and of them those that say where elements belong."""
    if compression is None:
        return float(width), 0.0
    if compression.format == "bitmap":
        bits, payload = 1.0 + density * width, density * width
    else:
        # Zeros that an entry covers before its element: Σ qʲ for j < 2^b, as a product of b factors.
        zero, covered = 1.0 - density, 1.0
        for _ in range(compression.index_bits):
            covered, zero = covered * (1.0 + zero), zero * zero
        entry = float(width + compression.index_bits)
        if compression.word_bits:
            words = 1.0 / math.floor(compression.word_bits / entry) if entry <= compression.word_bits else math.ceil(entry / compression.word_bits)
            entry = words * compression.word_bits
        bits = entry / covered + compression.address_bits / compression.column
        payload = width / covered
    if compression.raw and bits >= width:
        return float(width), 0.0
    return bits, bits - payload


def _room(compression: Compression, width: int, density: float) -> int:
    if compression.margin is None:
        return math.ceil(_stored(compression, width, 1.0)[0])
    return math.ceil(_stored(compression, width, density)[0] * compression.margin)


@dataclass(frozen=True, slots=True)
class Effect:
    """Energies of the accesses of a layer, in all its runs."""

    raw: float
    at: EnergyAt


def check_effect(stated: Mapping[str, float] | None, effects: Sequence[Effect]) -> str:
    """Raises ``Refuted`` unless the figures are those of the layers, and energies are equal where they say so."""
    if not effects:
        if stated is not None:
            raise Refuted("an effect of zeros on a machine that doesn't mind them")
        return "the machine doesn't mind zeros"
    if set(stated or ()) != {"raw_pj", "dense_pj", "break_even_density"}:
        raise Refuted(f"zeros_effect has the keys {sorted(stated or ())}")
    assert stated is not None
    raw, dense = math.fsum(e.raw for e in effects), math.fsum(e.at(1.0) for e in effects)
    refute_differences(differing(dict(stated), {"raw_pj": raw, "dense_pj": dense}))
    density = stated["break_even_density"]
    if not 0 <= density <= 1:
        raise Refuted(f"the density of break-even is {density!r}")
    energy = math.fsum(e.at(density) for e in effects)
    if energy > raw and not same(energy, raw) and density > 0:
        raise Refuted(f"at the density of break-even, {density!r}, zeros cost {energy!r}, without minding them {raw!r}")
    beyond = min(1.0, density + 1e-9)
    if density < 1 and math.fsum(e.at(beyond) for e in effects) < raw * (1 - 1e-9):
        raise Refuted(f"at a higher density than {density!r} minding zeros still pays")
    return f"pays below a density of {density:.3f}" if density < 1 else "costs nothing at any density"
