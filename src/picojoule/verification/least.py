"""What no mapping can beat, derived anew from the formulas of ``docs/explanation/bounds.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator, Level
from picojoule.verification.passing import Shares, beyond
from picojoule.workload.nest import TENSORS, Bits, Nest


@dataclass(frozen=True, slots=True)
class Least:
    """Least energy and cycles of a layer on a machine, whatever the mapping; ``compulsory`` leaves out what the limited
    room inside adds."""

    energy: float
    compulsory: float
    cycles: float


def touched(nest: Nest, tensor: str) -> int:
    """Distinct elements that a MAC touches: E(T). A row of the input is one if some tap of some window falls on it."""
    if tensor != "inputs":
        return nest.elements(tensor)
    return nest.N * nest.G * nest.C * _hits(nest, "rows", once=True) * _hits(nest, "columns", once=True)


def operand_reads(nest: Nest, tensor: str) -> int:
    """Operands that the MACs take: M(T). Those in the padding are none."""
    if tensor != "inputs":
        return nest.macs
    return nest.N * nest.G * nest.K * nest.C * _hits(nest, "rows", once=False) * _hits(nest, "columns", once=False)


def least(nest: Nest, machine: Accelerator, bits: Bits) -> Least:
    """The floor of a layer."""
    shares: Shares = {}
    for tensor in TENSORS:
        shares |= _outputs(nest, machine, bits) if tensor == "outputs" else _operands(nest, machine, bits, tensor)
    parts = [nest.macs * machine.mac_energy(bits), *shares.values()]
    more = beyond(nest, machine, bits, shares, operand_reads(nest, "inputs"))
    ports = [_port_cycles(nest, machine, bits, level) for level in machine.levels]
    return Least(
        energy=math.fsum([*parts, more]),
        compulsory=math.fsum(parts),
        cycles=max([nest.macs * machine.timed / machine.pes, *ports]),
    )


def _hits(nest: Nest, axis: str, *, once: bool) -> int:
    """Pairs of window and tap that fall inside the map; with ``once``, places of the map that some pair falls on."""
    outputs, taps, stride, dilation, pad, size = nest.window(axis)
    if not once:
        total = 0
        for tap in range(taps):
            # window p hits iff 0 ≤ p·stride + tap·dilation − pad < size
            shift = pad - tap * dilation
            lowest = max(0, -(-shift // stride))
            highest = min(outputs - 1, (size - 1 + shift) // stride)
            total += max(0, highest - lowest + 1)
        return total
    comb = sum(1 << tap * dilation for tap in range(taps))
    reached = 0
    for window in range(outputs):
        reached |= comb << window * stride
    return (reached >> pad & ((1 << size) - 1)).bit_count()


def _sharers(machine: Accelerator, level: Level, tensor: str) -> int:
    """F(L): MACs that one access of a level serves at most."""
    outside = machine.fanouts_outside(level.name)
    inside = [f for f in machine.fanouts if f.name not in outside]
    return math.prod(f.size for f in inside if (f.reduction if tensor == "outputs" else f.multicast))


def _may_hold(machine: Accelerator, anchor: Level, tensor: str) -> list[Level]:
    names = [level.name for level in machine.levels]
    inner = machine.levels[names.index(anchor.name) + 1 :]
    return [level for level in inner if tensor in level.may_keep]


def _operands(nest: Nest, machine: Accelerator, bits: Bits, tensor: str) -> Shares:
    fixed = machine.path(tensor)
    anchor = fixed[-1]
    needed, used, width = touched(nest, tensor), operand_reads(nest, tensor), bits.of(tensor)

    def price(level: Level, direction: str, elements: float) -> float:
        return elements * width * level.energy_per_bit(direction, tensor)

    shares = {(tensor, level.name, "write"): price(level, "write", needed) for level in fixed[1:]}
    shares |= {(tensor, level.name, "read"): price(level, "read", needed) for level in fixed[:-1]}
    choices = [price(anchor, "read", max(needed, used / _sharers(machine, anchor, tensor)))]
    for level in _may_hold(machine, anchor, tensor):
        choices.append(price(anchor, "read", needed) + price(level, "read", used / _sharers(machine, level, tensor)))
    return shares | {(tensor, anchor.name, "all"): min(choices)}


def _outputs(nest: Nest, machine: Accelerator, bits: Bits) -> Shares:
    fixed = machine.path("outputs")
    home, anchor = fixed[0], fixed[-1]
    finished = touched(nest, "outputs")

    def price(level: Level, direction: str, elements: float) -> float:
        return elements * bits.psums * level.energy_per_bit(direction, "outputs")

    def exchange(level: Level, elements: float) -> float:
        """Updates with as many reads, of which each output leaves once, but for those at home."""
        leaving = 0.0 if level.name == home.name else min(finished, elements)
        reads = price(level, "read", leaving) + price(level, "return", elements - leaving)
        return price(level, "update", elements) + reads

    shares = {("outputs", home.name, "update"): finished * bits.outputs * home.energy_per_bit("finish", "outputs")}
    for level in fixed[1:-1]:
        shares |= {("outputs", level.name, way): price(level, way, finished) for way in ("read", "update")}
    arriving = max(finished, nest.macs / _sharers(machine, anchor, "outputs"))
    already = finished if anchor.name == home.name else 0
    choices = [exchange(anchor, arriving - already)]
    for level in _may_hold(machine, anchor, "outputs"):
        inner = exchange(level, nest.macs / _sharers(machine, level, "outputs"))
        choices.append(exchange(anchor, finished - already) + inner)
    return shares | {("outputs", anchor.name, "all"): min(choices)}


def _port_cycles(nest: Nest, machine: Accelerator, bits: Bits, level: Level) -> float:
    """Compulsory bits through the ports of all instances of a level, divided by what they pass in a cycle."""
    instances = math.prod(machine.fanout(name).size for name in machine.fanouts_outside(level.name))
    inward = dict.fromkeys(TENSORS, 0.0)
    outward = dict.fromkeys(TENSORS, 0.0)
    for tensor in level.keeps:
        elements = touched(nest, tensor)
        at_home = machine.home(tensor).name == level.name
        sent, arriving = elements * bits.stored(tensor) * level.share("read", tensor).timed, 0.0
        if tensor == "outputs":
            direction, width = ("finish", bits.outputs) if at_home else ("update", bits.psums)
            arriving = elements * width * level.share(direction, tensor).timed
            sent = 0.0 if at_home else sent
        elif not at_home:
            arriving = elements * bits.of(tensor) * level.share("write", tensor).timed
        inward[tensor], outward[tensor] = arriving, sent
    cycles = [0.0]
    for port in level.ports:
        through = outward if port.direction == "read" else inward
        # Sums arrive over a link only to be added to, which none has to.
        tensors = [t for t in port.tensors if not (port.link and port.direction == "write" and t == "outputs")]
        cycles.append(sum(through[t] for t in tensors) / instances / port.bits_per_cycle)
    return max(cycles)
