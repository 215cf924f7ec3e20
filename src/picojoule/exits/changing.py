"""A world in which the importance of energy changes (§IV): a set of networks, or one network with exits, follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.errors import InputError
from picojoule.exits.cost import Candidate, check_alpha, decision_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Something that can answer in several ways, of which α selects one at a time.

    Attributes:
        name: of it.
        ways: energy and accuracy of each way.
        blocks: parameters of each block of the system, by name.
        uses: the names of the blocks that each way needs.
    """

    name: str
    ways: tuple[Candidate, ...]
    blocks: dict[str, int]
    uses: tuple[frozenset[str], ...]

    def __post_init__(self) -> None:
        if not self.ways or len(self.ways) != len(self.uses):
            raise InputError(
                f"{len(self.ways)} ways need as many sets of blocks, got {len(self.uses)}", where=self.name
            )
        unknown = frozenset().union(*self.uses) - set(self.blocks)
        if unknown:
            raise InputError(f"there is no block {min(unknown)!r}; blocks: {', '.join(self.blocks)}", where=self.name)

    @property
    def params(self) -> int:
        return sum(self.blocks.values())

    def used(self, way: int) -> int:
        """Parameters that a way needs."""
        return sum(self.blocks[block] for block in self.uses[way])


def separate_networks(ways: Sequence[Candidate], params: Sequence[int]) -> System:
    """Fig. 5(a): a network of its own for each way.

    Args:
        ways: energy and accuracy of each network, under names of their own.
        params: parameters of each network.

    Raises:
        InputError: another number of parameters than of ways, or a name twice.
    """
    names = [way.name for way in ways]
    if len(set(names)) < len(names) or len(params) != len(ways):
        raise InputError(
            f"{len(ways)} networks need as many names and as many counts of parameters, got {len(set(names))}"
            f" different names and {len(params)} counts",
            where="separate networks",
        )
    return System(
        name="separate networks",
        ways=tuple(ways),
        blocks=dict(zip(names, params, strict=True)),
        uses=tuple(frozenset([name]) for name in names),
    )


def one_network(ways: Sequence[Candidate], convs: Sequence[int], heads: Sequence[int]) -> System:
    """Fig. 5(b): way *e* needs the first *e* convolutions and head *e*.

    Args:
        ways: energy and accuracy of each exit.
        convs: parameters of each convolution, one fewer than exits.
        heads: parameters of each head.

    Raises:
        InputError: numbers of convolutions and heads that don't fit the exits.
    """
    if not len(ways) == len(heads) == len(convs) + 1:
        raise InputError(
            f"{len(ways)} exits need {len(ways)} heads and {len(ways) - 1} convolutions,"
            f" got {len(heads)} and {len(convs)}",
            where="one network",
        )
    blocks = {f"conv{i}": count for i, count in enumerate(convs, 1)} | {f"head{i}": n for i, n in enumerate(heads)}
    return System(
        name="one network with exits",
        ways=tuple(ways),
        blocks=blocks,
        uses=tuple(frozenset([f"head{e}", *(f"conv{i}" for i in range(1, e + 1))]) for e in range(len(ways))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a system did over a trace of α.

    Attributes:
        system: its name.
        params: of the whole system.
        choices: index of the way taken at each step.
        switches: steps at which the way is another one than before.
        switched_in_params: parameters needed after a switch that were not before it, summed over all switches.
        mean_idle_params: parameters that the way taken doesn't need ("unused resources"), mean over the steps.
        energy: of an inference at each step, summed, in the unit of the ways.
        mean_accuracy: mean of the ways taken.
        mean_cost: mean of C, eq. (5), each step at its own α.
    """

    system: str
    params: int
    choices: tuple[int, ...]
    switches: int
    switched_in_params: int
    mean_idle_params: float
    energy: float
    mean_accuracy: float
    mean_cost: float


def follow(system: System, alphas: Sequence[float], *, energy_max: float | None = None) -> Followed:
    """Takes at each step the way of least cost for its α, one inference a step.

    Args:
        system: what answers.
        alphas: importance of the energy at each step, 0 … 1.
        energy_max: E_Dmax; by default that of the system's dearest way. Give one to compare systems.

    Raises:
        UsageError: an α is out of range.
        InputError: the trace is empty.
    """
    if not len(alphas):
        raise InputError("the trace of α has no step", where="alphas")
    most = max(way.energy for way in system.ways) if energy_max is None else energy_max
    if not most > 0:
        raise InputError(f"E_Dmax must be above 0, got {most!r}", where="energy_max")
    relative = [way.energy / most for way in system.ways]
    choices, costs = [], []
    for alpha in alphas:
        check_alpha(alpha)
        at = [decision_cost(alpha, c, way.accuracy) for c, way in zip(relative, system.ways, strict=True)]
        best = min(range(len(at)), key=lambda i: (at[i], relative[i]))
        choices.append(best)
        costs.append(at[best])
    changes = [(a, b) for a, b in zip(choices, choices[1:], strict=False) if a != b]
    return Followed(
        system=system.name,
        params=system.params,
        choices=tuple(choices),
        switches=len(changes),
        switched_in_params=sum(
            sum(system.blocks[block] for block in system.uses[after] - system.uses[before]) for before, after in changes
        ),
        mean_idle_params=sum(system.params - system.used(way) for way in choices) / len(choices),
        energy=sum(system.ways[way].energy for way in choices),
        mean_accuracy=sum(system.ways[way].accuracy for way in choices) / len(choices),
        mean_cost=sum(costs) / len(costs),
    )
