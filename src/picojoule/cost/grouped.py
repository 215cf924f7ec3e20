"""What the members of a group meet, and what a group costs beside the nests of its tiles; ``docs/explanation/fusion.md``."""

from __future__ import annotations

import math
from dataclasses import replace

from picojoule.cost.energy import access_energy, direction_bits
from picojoule.cost.floor import Floor, floor
from picojoule.cost.suited import at_home_in
from picojoule.cost.traffic import Count
from picojoule.cost.zeros import priced
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.tiling import Tiling, engine
from picojoule.workload.chains import Member


def fusion_levels(machine: Accelerator) -> tuple[str, ...]:
    """Levels that can hold the results between the members of a group: there is one of each, further in than the homes of
    inputs and outputs, and it keeps both. None where tensors spill: what fits stays on the chip there anyway."""
    if any(level.spill for level in machine.levels):
        return ()
    homes = {machine.home("inputs").name, machine.home("outputs").name}
    return tuple(
        level.name
        for level in machine.levels
        if not level.latch
        and not machine.fanouts_outside(level.name)
        and level.name not in homes
        and {"inputs", "outputs"} <= set(level.keeps)
    )


def may_reside(machine: Accelerator, at: str) -> bool:
    """Whether whole weights can be brought to a level at once: it may hold them, and none that always does lies between it
    and their home."""
    path = [level.name for level in machine.path("weights")]
    here = machine.level(at)
    if at in path:
        return path.index(at) == 1
    between = [level for level in machine.levels[: machine.levels.index(here)] if "weights" in level.keeps]
    return "weights" in here.may_keep and len(between) == 1


def machine_of(machine: Accelerator, tiling: Tiling, m: int, *, roomy: bool = False) -> Accelerator:
    """The machine that a member meets: what the group keeps at its level is at home there, and takes room.

    Args:
        machine: as described.
        tiling: the group.
        m: which member.
        roomy: leave all of the room, for bounds.
    """
    taken = 0 if roomy else tiling.taken_bits[m]
    return at_home_in(machine, tiling.at, tiling.kept(m), taken)


def loading(tiling: Tiling, m: int, machine: Accelerator) -> tuple[Count, ...]:
    """How the weights of a member get to the group's level before the first tile; nothing if they don't."""
    member = tiling.members[m]
    if "weights" not in tiling.kept(m):
        return ()
    elements, bits = member.weights, member.weights * member.bits.weights
    home = machine.home("weights").name
    return (
        Count(level=home, tensor="weights", reads=elements, writes=0, updates=0, bits=bits),
        Count(level=tiling.at, tensor="weights", reads=0, writes=elements, updates=0, bits=bits),
    )


def summing(tiling: Tiling, m: int, machine: Accelerator) -> tuple[Count, ...]:
    """Accesses of a sum in all tiles: operands from where they are, the result to where it is wanted."""
    member, elements = tiling.members[m], tiling.made(m)
    inside = sum(source is not None for source in member.reads)
    operands = ((tiling.at, inside), (machine.home("inputs").name, len(member.reads) - inside))
    target = tiling.at if "outputs" in tiling.kept(m) else machine.home("outputs").name
    return (
        *(
            Count(level=level, tensor="inputs", reads=n * elements, writes=0, updates=0, bits=n * elements * member.bits.inputs)
            for level, n in operands
            if n
        ),
        Count(
            level=target, tensor="outputs", reads=0, writes=0, updates=elements, bits=elements * member.bits.outputs,
            final_updates=elements,
        ),
    )  # fmt: skip


def vector_operations(tiling: Tiling, m: int) -> int:
    """Element-wise operations of a sum in all tiles: as many for every element made."""
    member = tiling.members[m]
    whole = member.rows * member.columns * member.planes
    return member.vector_ops * tiling.made(m) // whole


def beside_energy(tiling: Tiling, m: int, machine: Accelerator) -> float:
    """Energy of a member that no nest has: of bringing weights, of a sum."""
    member = tiling.members[m]
    counts = (*loading(tiling, m, machine), *(summing(tiling, m, machine) if member.nest is None else ()))
    met = priced(machine, member.nest, member.bits, member.zeros)
    parts = [access_energy(met.level(count.level), count, member.bits) for count in counts]
    if member.nest is None and machine.vector_energy is not None:
        parts.append(vector_operations(tiling, m) * machine.vector_energy)
    return math.fsum(parts)


def loading_cycles(tiling: Tiling, m: int, machine: Accelerator) -> float:
    """Cycles that bringing the weights takes at the slowest port on the way."""
    member = tiling.members[m]
    met = priced(machine, member.nest, member.bits, member.zeros)
    cycles = 0.0
    for count in loading(tiling, m, machine):
        level = met.level(count.level)
        moved = {d: n * level.share(d, "weights").timed for d, n in direction_bits(count, member.bits).items() if n}
        for port in level.ports:
            load = sum(n for d, n in moved.items() if port.passes(d, "weights"))
            cycles = max(cycles, load / port.bits_per_cycle)
    return cycles


def member_floor(machine: Accelerator, tiling: Tiling, m: int) -> Floor:
    """What no way to run a member in this group undercuts: each MAC once, results in between at the group's level."""
    member = tiling.members[m]
    if member.nest is None:
        whole = replace(tiling, tile=(tiling.members[-1].rows, tiling.members[-1].columns))
        energy = beside_energy(whole, m, machine)
        return Floor(energy=energy, compulsory=energy, cycles=0.0)
    # Weights that lie at the level have to get there from their home as others have to get through.
    meeting = machine_of(machine, replace(tiling, resident=False), m, roomy=True)
    return floor(member.nest, priced(meeting, member.nest, member.bits, member.zeros), member.bits)


def lanes(member: Member, machine: Accelerator) -> str:
    """What a member runs on; one name for all where the machine has no engine for depthwise layers."""
    return engine(member) if any(array.depthwise for array in machine.fanouts) else "array"


