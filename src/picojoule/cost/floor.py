"""What no mapping can beat: compute, compulsory traffic, communication. Derived in ``docs/explanation/bounds.md``."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from picojoule.cost.boundaries import Place, beyond_compulsory
from picojoule.cost.communication import real_macs
from picojoule.hardware.accelerator import Accelerator, Level, Share
from picojoule.workload.nest import Bits, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Least energy (table unit) and least latency (cycles) of a nest on a machine.

    Attributes:
        energy: compute, compulsory traffic, and the communication beyond it.
        compulsory: compute and compulsory traffic alone.
        cycles: of the slowest of compute and ports.
    """

    energy: float
    compulsory: float
    cycles: float


@functools.lru_cache(maxsize=512)
def floor(nest: Nest, accelerator: Accelerator, bits: Bits) -> Floor:
    """The floor of one layer, whatever the mapping."""
    shares: dict[Place, float] = {}
    for tensor in ("weights", "inputs"):
        shares |= _operand_energy(nest, accelerator, bits, tensor)
    shares |= _output_energy(nest, accelerator, bits)
    parts = [nest.macs * accelerator.mac_energy(bits), *shares.values()]
    beyond = beyond_compulsory(nest, accelerator, bits, shares)
    cycles = least_cycles(nest, accelerator, bits)
    return Floor(energy=math.fsum([*parts, beyond]), compulsory=math.fsum(parts), cycles=cycles)


def least_cycles(nest: Nest, accelerator: Accelerator, bits: Bits) -> float:
    """Cycles of the slowest of compute and ports, whatever the mapping."""
    ports = [_port_cycles(nest, accelerator, bits, level) for level in accelerator.levels]
    return max([nest.macs * accelerator.timed / accelerator.pes, *ports])


def operand_reads(nest: Nest, tensor: str) -> int:
    """Operand reads of all MACs: inputs in the padding are not read."""
    return real_macs(nest) if tensor == "inputs" else nest.macs


def _operand_energy(nest: Nest, accelerator: Accelerator, bits: Bits, tensor: str) -> dict[Place, float]:
    elements, reads, width = nest.elements(tensor), operand_reads(nest, tensor), bits.of(tensor)
    path = accelerator.path(tensor)
    last = path[-1]
    shares: dict[Place, float] = {}
    for level in path:
        if level is not path[0]:
            shares[tensor, level.name, "write"] = elements * width * level.energy_per_bit("write", tensor)
        if level is not last:
            shares[tensor, level.name, "read"] = elements * width * level.energy_per_bit("read", tensor)
    once = elements * width * last.energy_per_bit("read", tensor)
    here = max(elements, reads / _shared(accelerator, last, tensor)) * width * last.energy_per_bit("read", tensor)
    inner = [
        reads / _shared(accelerator, level, tensor) * width * level.energy_per_bit("read", tensor)
        for level in _optional_inside(accelerator, last, tensor)
    ]
    return shares | {(tensor, last.name, "anchor"): min([here] + [once + cost for cost in inner])}


def _output_energy(nest: Nest, accelerator: Accelerator, bits: Bits) -> dict[Place, float]:
    elements, psum = nest.elements("outputs"), bits.psums
    path = accelerator.path("outputs")
    home, last = path[0], path[-1]
    shares: dict[Place, float] = {
        ("outputs", home.name, "update"): elements * bits.outputs * home.energy_per_bit("finish", "outputs")
    }

    def round_trip(level: Level, times: float) -> float:
        """Updates, and as many reads: of each element one at least goes outwards, unless this is the home."""
        outwards = 0 if level is home else min(elements, times)
        reads = outwards * level.energy_per_bit("read", "outputs")
        reads += (times - outwards) * level.energy_per_bit("return", "outputs")
        return psum * (reads + times * level.energy_per_bit("update", "outputs"))

    for level in path[1:-1]:
        for direction in ("read", "update"):
            shares["outputs", level.name, direction] = elements * psum * level.energy_per_bit(direction, "outputs")
    updates = max(elements, nest.macs / _shared(accelerator, last, "outputs"))
    if last is home:
        here, once = round_trip(last, updates - elements), 0.0
    else:
        here, once = round_trip(last, updates), round_trip(last, elements)
    inner = [
        round_trip(level, nest.macs / _shared(accelerator, level, "outputs"))
        for level in _optional_inside(accelerator, last, "outputs")
    ]
    return shares | {("outputs", last.name, "anchor"): min([here] + [once + cost for cost in inner])}


def _shared(accelerator: Accelerator, level: Level, tensor: str) -> int:
    """How many MACs one access of ``level`` can serve at once: sizes of the sharing fan-outs inside it."""
    inside = {f.name for f in accelerator.fanouts} - accelerator.fanouts_outside(level.name)
    shares = [f for f in accelerator.fanouts if f.name in inside]
    return math.prod(f.size for f in shares if (f.reduction if tensor == "outputs" else f.multicast))


def _optional_inside(accelerator: Accelerator, last: Level, tensor: str) -> list[Level]:
    levels = accelerator.levels
    return [level for level in levels[levels.index(last) + 1 :] if tensor in level.may_keep]


def _inward(level: Level, home: bool) -> Share:
    return level.share("finish" if home else "update", "outputs")


def _port_cycles(nest: Nest, accelerator: Accelerator, bits: Bits, level: Level) -> float:
    instances = math.prod(accelerator.fanout(n).size for n in accelerator.fanouts_outside(level.name))
    return port_cycles(nest, accelerator, bits, level) / instances


def port_cycles(nest: Nest, accelerator: Accelerator, bits: Bits, level: Level) -> float:
    """Cycles that compulsory traffic takes at the slowest port of a level that has a single instance; several that share
    it equally take their part of that."""
    moved: dict[tuple[str, str], float] = {}
    for tensor in level.keeps:
        elements, width = nest.elements(tensor), bits.stored(tensor)
        home = accelerator.home(tensor) is level
        if tensor == "outputs":
            moved["read", tensor] = 0 if home else elements * width * level.share("read", tensor).timed
            moved["update", tensor] = elements * (bits.outputs if home else width) * _inward(level, home).timed
        else:
            moved["read", tensor] = elements * width * level.share("read", tensor).timed
            moved["write", tensor] = 0 if home else elements * width * level.share("write", tensor).timed
    loads = [(sum(n for way, n in moved.items() if port.passes(*way)), port.bits_per_cycle) for port in level.ports]
    return max((load / rate for load, rate in loads), default=0.0)
