"""Random machines with prices, capacities that bind and bandwidths, and tiny layers to search on them.

Hierarchies, homes, fan-outs and levels that may be passed by are those of ``random_cases.py``; here they get what the
counts don't need.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from oracle.random_cases import random_accelerator

from picojoule.hardware.accelerator import (
    DIRECTIONS,
    Accelerator,
    FanOut,
    Level,
    Link,
    MacEnergy,
    Port,
    TileRule,
    operand_latch,
)
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A layer, a machine, the widths; ``seed`` names them."""

    seed: int
    nest: Nest
    machine: Accelerator
    bits: Bits

    def __str__(self) -> str:
        default = Nest()
        nest = {
            k: v for k, v in vars(self.nest).items() if not k.startswith("input") and v != getattr(default, k, None)
        }
        lines = [f"seed {self.seed}: {nest} {self.bits}", *map(str, self.machine.hierarchy)]
        return "\n    ".join(lines)


def random_problem(seed: int, *, most_dims: int = 3, most_macs: int = 36, bandwidths: bool = False) -> Problem:
    """The problem of this seed; single elements always fit."""
    rng = random.Random(f"search {seed} {most_dims} {most_macs} {bandwidths}")
    nest = _tiny_nest(rng, most_dims, most_macs)
    bits = Bits(
        weights=rng.choice((2, 8)), inputs=rng.choice((3, 8)), outputs=rng.choice((5, 8)), psums=rng.choice((8, 19))
    )
    return Problem(seed=seed, nest=nest, machine=random_priced(rng, bits, bandwidths=bandwidths), bits=bits)


def latched(problem: Problem) -> Problem:
    """The same problem with one or two latches in its machine, each anywhere inside all that holds its tensors."""
    rng = random.Random(f"latches {problem.seed}")
    return replace(problem, machine=with_latches(rng, problem.machine))


def ported(problem: Problem) -> Problem:
    """The same problem with ports of single tensors at some levels, beside shared ones or alone."""
    rng = random.Random(f"ports {problem.seed}")
    hierarchy = list(problem.machine.hierarchy)
    for i, level in enumerate(hierarchy):
        if isinstance(level, Level):
            ways = [(t, d) for t in TENSORS if t in level.keeps + level.may_keep for d in ("read", "write")]
            own = [
                Port(direction=d, tensors=(t,), bits_per_cycle=rng.choice((1.0, 2.0, 7.0)), own=True)
                for t, d in rng.sample(ways, rng.randint(0, len(ways)))
            ]
            hierarchy[i] = replace(level, own_ports=tuple(own))
    return replace(problem, machine=replace(problem.machine, hierarchy=tuple(hierarchy)))


def linked(problem: Problem) -> Problem:
    """The same problem with links to some of the levels that aren't the home of anything, half of them with a bandwidth."""
    rng = random.Random(f"links {problem.seed}")
    machine = problem.machine
    homes = {machine.home(tensor).name for tensor in TENSORS}
    hierarchy = list(machine.hierarchy)
    for i, level in enumerate(hierarchy):
        if isinstance(level, Level) and level.name not in homes and rng.random() < 0.7:
            rate = rng.choice((None, 1.0, 3.0))
            link = Link(name=f"link {i}", energy_per_bit=rng.uniform(0, 20), bits_per_cycle=rate)
            hierarchy[i] = replace(level, link=link)
    return replace(problem, machine=replace(machine, hierarchy=tuple(hierarchy)))


def with_latches(rng: random.Random, machine: Accelerator) -> Accelerator:
    """One latch for some tensors, or two that share none; fan-outs and levels of other tensors may lie inside."""
    tensors = rng.sample(TENSORS, rng.choice((1, 2, 3, 3)))
    cut = rng.randint(1, len(tensors))
    hierarchy = list(machine.hierarchy)
    for name, mine in (("latch", tensors[:cut]), ("latch2", tensors[cut:])):
        if mine:
            holding = [
                i for i, e in enumerate(hierarchy) if isinstance(e, Level) and set(mine) & {*e.keeps, *e.may_keep}
            ]
            keeps = tuple(t for t in TENSORS if t in mine)
            hierarchy.insert(rng.randint(max(holding) + 1, len(hierarchy)), operand_latch(name, keeps))
    return replace(machine, hierarchy=tuple(hierarchy))


def ruled(problem: Problem) -> Problem:
    """The same problem with two to six rules for tiles at levels inside the homes; perhaps none can be obeyed."""
    rng = random.Random(f"rules {problem.seed}")
    places = [
        (i, t)
        for i, e in enumerate(problem.machine.hierarchy)
        if isinstance(e, Level)
        for t in TENSORS
        if t in e.keeps + e.may_keep and problem.machine.home(t) is not e
    ]
    hierarchy = list(problem.machine.hierarchy)
    large = [d for d in DIMS if problem.nest.dims[d] > 1]
    for _ in range(rng.randint(2, 6) if places else 0):
        i, tensor = rng.choice(places)
        dim = rng.choice(large if large and rng.random() < 0.95 else DIMS)
        n = rng.choice((1, 1, 2, 2, 3, 4))
        limits = rng.choice(({"least": n, "most": n}, {"most": n}, {"least": n}, {"all": True}))
        if dim == "G":  # every boundary lies inside the loop over groups
            limits = {"most": n}
        level = hierarchy[i]
        assert isinstance(level, Level)
        hierarchy[i] = replace(level, tiles=(*level.tiles, TileRule(tensor=tensor, dim=dim, **limits)))
    return replace(problem, machine=replace(problem.machine, hierarchy=tuple(hierarchy)))


def _tiny_nest(rng: random.Random, most_dims: int, most_macs: int) -> Nest:
    """1 to ``most_dims`` dimensions of 2, 3, 4 or 6; half of the layers have a window."""
    while True:
        dims = rng.sample(DIMS, rng.randint(1, most_dims))
        if most_dims >= 2 and rng.random() < 0.5:
            pair = rng.choice((("P", "R"), ("Q", "S")))
            dims = [*pair, *[d for d in dims if d not in pair][: most_dims - 2]]
        sizes = {d: rng.choice((2, 2, 3, 4, 6)) for d in dims}
        try:
            nest = Nest(
                **sizes,
                stride=(rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2, 3))),
                dilation=(rng.choice((1, 1, 2)), rng.choice((1, 1, 2))),
                pad=tuple(rng.choice((0, 0, 1, 2)) for _ in range(4)),  # type: ignore[arg-type]
            )
        except ValueError:  # the padding left no input
            continue
        if nest.macs <= most_macs:
            return nest


def random_priced(rng: random.Random, bits: Bits, *, bandwidths: bool = False) -> Accelerator:
    """A hierarchy of ``random_accelerator`` with energies, capacities and perhaps bandwidths of its own."""
    machine = random_accelerator(rng)
    hierarchy: list[Level | FanOut] = []
    cost = rng.uniform(50, 200)
    for entry in machine.hierarchy:
        if isinstance(entry, FanOut):
            hierarchy.append(entry)
            continue
        hierarchy.append(
            replace(
                entry,
                word_bits=rng.choice((1, 8)),
                energy_per_word=_energies(rng, cost),
                capacity_bits=_capacity(rng, machine, entry, bits),
                buffering=rng.choice((1, 1, 2)),
                read_bits_per_cycle=rng.choice((None, 1.0, 3.0, 16.0)) if bandwidths else None,
                write_bits_per_cycle=rng.choice((None, 2.0, 5.0, 16.0)) if bandwidths else None,
            )
        )
        cost *= rng.uniform(0.1, 0.8) if rng.random() < 0.85 else rng.uniform(1, 2)
    return replace(
        machine, hierarchy=tuple(hierarchy), bits=bits, mac=MacEnergy(bits=8, multiply=rng.uniform(0, 2), add=0.1)
    )


def _energies(rng: random.Random, cost: float) -> tuple[tuple[tuple[str, str], float], ...]:
    """All alike, or directions apart, or directions and tensors apart; some directions are free."""
    kind = rng.choice(("alike", "directions", "all"))
    by_direction = {
        d: 1.0 if kind == "alike" else rng.choice((0.0, rng.random(), rng.uniform(0.5, 2))) for d in DIRECTIONS
    }
    return tuple(
        sorted(
            ((d, t), cost * by_direction[d] * (rng.uniform(0.5, 1.5) if kind == "all" else 1.0))
            for d in DIRECTIONS
            for t in TENSORS
        )
    )


def _capacity(rng: random.Random, machine: Accelerator, level: Level, bits: Bits) -> int | None:
    """Room for one or a few elements of every tensor that the level may hold, twice over; seldom unlimited."""
    held = [t for t in level.keeps + level.may_keep if machine.home(t) is not level]
    if not held or rng.random() < 0.15:
        return None
    one_each = sum(bits.stored(t) for t in held)
    return 2 * one_each + rng.choice((0, 1, 5, rng.randint(0, 4 * one_each), rng.randint(0, 20 * one_each)))
