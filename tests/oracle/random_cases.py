"""Tiny random layers, machines and legal mappings, the same ones for the same seed.

Everything that ``docs/explanation/counting.md`` allows may come up: strides above the filter, padding wider than the
filter, fan-outs anywhere inside the homes, several spreads on an axis, spreads and keeps anywhere in the nest,
levels passed by, homes that differ between tensors, loops of one trip, and (on demand) chunks that don't divide.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.mapping.mapping import Keep, Loop, Mapping, Node, Spread
from picojoule.workload.nest import DIMS, TENSORS, Bits, Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A layer, a machine, a mapping; ``seed`` and ``exact`` name them."""

    seed: int
    exact: bool
    nest: Nest
    accelerator: Accelerator
    mapping: Mapping

    def __str__(self) -> str:
        default = Nest()
        nest = {k: v for k, v in vars(self.nest).items() if not k.startswith("input") and v != getattr(default, k)}
        machine = []
        for entry in self.accelerator.hierarchy:
            if isinstance(entry, Level):
                machine.append(f"{entry.name}{list(entry.keeps)} may {list(entry.may_keep)}")
            else:
                flags = f"multicast={entry.multicast} reduction={entry.reduction}"
                machine.append(f"{entry.name}{[(a.name, a.size) for a in entry.axes]} {flags}")
        nodes = "\n    ".join(map(str, self.mapping.nodes))
        machine_text = "\n    ".join(machine)
        return f"seed {self.seed} exact={self.exact}\n  {nest}\n    {machine_text}\n  mapping\n    {nodes}"


def random_case(seed: int, *, exact: bool, most_macs: int = 300) -> Case:
    """The case of this seed; with ``exact`` every chunk divides its range."""
    rng = random.Random(f"{seed} {exact}")
    nest = random_nest(rng, most_macs)
    accelerator = random_accelerator(rng)
    mapping = random_mapping(rng, nest, accelerator, exact=exact)
    return Case(seed=seed, exact=exact, nest=nest, accelerator=accelerator, mapping=mapping)


def random_nest(rng: random.Random, most_macs: int) -> Nest:
    """A layer with dimensions of 1 to 6 and at most ``most_macs`` MACs."""
    while True:
        sizes = {d: 1 for d in DIMS}
        # a plain choice among eight dimensions would seldom have a window, or sums spread in space and in time
        together = rng.choice([["P", "R"], ["Q", "S"], ["C", "R"], ["K", "C"]])
        for d in together + rng.sample(DIMS, rng.randint(1, 5)):
            if sizes[d] == 1:
                sizes[d] = rng.randint(1, 6)
                if math.prod(sizes.values()) > most_macs:
                    sizes[d] = rng.randint(1, 2)
        pad = tuple(rng.choice((0, 0, 1, 2)) for _ in range(4))
        if math.prod(sizes.values()) > most_macs:
            continue
        try:
            return Nest(
                **sizes,
                stride=(rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2, 3))),
                dilation=(rng.randint(1, 2), rng.randint(1, 2)),
                pad=pad,
            )
        except ValueError:  # the padding left no input
            continue


def random_accelerator(rng: random.Random) -> Accelerator:
    """A machine of 2 to 4 levels with 0 to 2 fan-outs anywhere inside the homes."""
    levels = rng.randint(2, 4)
    # now and then a tensor's home is the second level, as activations are at home in a unified buffer
    homes = {t: 1 if levels > 2 and rng.random() < 0.15 else 0 for t in TENSORS}
    if all(homes.values()):
        homes["weights"] = 0
    hierarchy: list[Level | FanOut] = []
    for i in range(levels):
        keeps = tuple(t for t in TENSORS if homes[t] == i or (homes[t] < i and rng.random() < 0.6))
        may_keep = tuple(t for t in TENSORS if t not in keeps and homes[t] < i and rng.random() < 0.5)
        hierarchy.append(
            Level(
                name=f"L{i}",
                keeps=keeps,
                may_keep=may_keep,
                word_bits=8,
                energy_per_word=uniform_energies(read=1, write=1, update=1),
            )
        )
    first_place = max(homes.values()) + 1
    for name in rng.sample("FH", rng.choice((0, 1, 1, 2, 2))):
        hierarchy.insert(rng.randint(first_place, len(hierarchy)), random_fanout(rng, name))
    return Accelerator(
        name="random",
        hierarchy=tuple(hierarchy),
        unit="pJ",
        bits=Bits(weights=3, inputs=5, outputs=7, psums=19),  # primes: a mixed-up width can't come out even
        mac=MacEnergy(bits=8, multiply=1.0),
    )


def random_fanout(rng: random.Random, name: str) -> FanOut:
    """One or two axes of 2 to 6 positions, most dimensions allowed, either ability or not."""
    axes = tuple(
        Axis(name=axis, size=rng.randint(2, 6), dims=tuple(d for d in DIMS if rng.random() < 0.85))
        for axis in ("x", "y")[: rng.randint(1, 2)]
    )
    return FanOut(name=name, axes=axes, multicast=rng.random() < 0.6, reduction=rng.random() < 0.6)


def random_mapping(rng: random.Random, nest: Nest, accelerator: Accelerator, *, exact: bool) -> Mapping:
    """A legal mapping: the chains of every dimension and tensor, shuffled into each other."""
    room = {(f.name, axis.name): axis.size for f in accelerator.fanouts for axis in f.axes}
    chains: list[list[Node]] = []
    for dim in rng.sample(DIMS, len(DIMS)):
        chains.append(list(_cut(rng, dim, nest.dims[dim], accelerator, room, exact=exact)))
    home_keeps: list[Node] = []
    for tensor in TENSORS:
        holding = [
            level.name
            for level in accelerator.levels
            if tensor in level.keeps or (tensor in level.may_keep and rng.random() < 0.5)
        ]
        home_keeps.append(Keep(holding[0], tensor))
        chains.append([Keep(name, tensor) for name in holding[1:]])
    rng.shuffle(home_keeps)
    nodes = list(_shuffled_together(rng, chains))
    if rng.random() < 0.5:
        _slide(rng, nodes)
    if rng.random() < 0.5:
        _return(rng, nodes)
    return Mapping((*home_keeps, *nodes))


def _cut(
    rng: random.Random, dim: str, size: int, accelerator: Accelerator, room: dict[tuple[str, str], int], *, exact: bool
) -> Iterator[Node]:
    """Loops and spreads that take a dimension down to single indices."""
    extent = size
    if size == 1 and rng.random() < 0.2:
        yield Loop(dim, 1)  # no loop at all, and nothing may notice
    while extent > 1:
        tiles = [t for t in range(1, extent) if not exact or extent % t == 0]
        tile = extent if rng.random() < 0.1 else 1 if rng.random() < 0.3 else rng.choice(tiles)
        trips = -(-extent // tile)
        places = [
            (f.name, axis.name)
            for f in accelerator.fanouts
            for axis in f.axes
            if dim in axis.dims and room[f.name, axis.name] >= trips
        ]
        if places and rng.random() < 0.5:
            place = rng.choice(places)
            room[place] //= trips
            yield Spread(dim, tile, *place)
        else:
            yield Loop(dim, tile)
        extent = tile


def _shuffled_together(rng: random.Random, chains: list[list[Node]]) -> Iterator[Node]:
    """All chains in one list, each in its own order."""
    turns = [i for i, chain in enumerate(chains) for _ in chain]
    rng.shuffle(turns)
    following = [iter(chain) for chain in chains]
    for i in turns:
        yield next(following[i])


def _slide(rng: random.Random, nodes: list[Node]) -> None:
    """Move the innermost keep of the inputs to just below a window loop, where it seldom lands by chance."""
    keeps = [i for i, node in enumerate(nodes) if isinstance(node, Keep) and node.tensor == "inputs"]
    above = keeps[-2] if len(keeps) > 1 else -1
    loops = [i for i, node in enumerate(nodes) if isinstance(node, Loop) and node.dim in "PQRS" and i > above]
    if keeps and loops:
        keep, loop = nodes[keeps[-1]], nodes[rng.choice(loops)]
        nodes.remove(keep)
        # by identity: a loop of one trip may stand there twice
        nodes.insert(next(i for i, node in enumerate(nodes) if node is loop) + 1, keep)


def _return(rng: random.Random, nodes: list[Node]) -> None:
    """Move a loop over C, R or S to the top, so that partial sums leave and come back."""
    first = {node.dim: node for node in reversed(nodes) if not isinstance(node, Keep)}  # outermost of each dimension
    loops = [node for dim, node in first.items() if dim in "CRS" and isinstance(node, Loop)]
    if loops:
        loop = rng.choice(loops)
        nodes.pop(next(i for i, node in enumerate(nodes) if node is loop))
        nodes.insert(0, loop)
