"""Which layers of a network run as groups (``--fuse``): none, those that a pattern names, or the grouping of least cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from picojoule.cost.grouped import fusion_levels
from picojoule.errors import UsageError
from picojoule.estimation.fused import FusedGroup, fused_group
from picojoule.estimation.handover import Met
from picojoule.estimation.layer_costs import LayerCosts
from picojoule.hardware.accelerator import Accelerator
from picojoule.search.costed import TIE
from picojoule.search.fuse import Fuser
from picojoule.search.grouping import Cut, Piece, best_cuts
from picojoule.workload.chains import Chains
from picojoule.workload.network import Network

OFF, AUTO = "off", "auto"
JOINT = "+"

LONGEST = 8
"""Layers of a group that ``auto`` looks at, at most; a pattern may name more."""

Single = Callable[[int], LayerCosts]
"""What a layer costs on its own, with nothing left on the chip for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """How a network runs in groups.

    Attributes:
        costs: of every layer.
        met: the machine of every layer.
        groups: those that were made; none if layers on their own are as good.
        record: what stands in the result under ``fusion``.
    """

    costs: list[LayerCosts]
    met: list[Met]
    groups: tuple[FusedGroup, ...]
    record: dict[str, Any]

    def name_of(self, layer: int) -> str | None:
        """The name of the group of a layer."""
        return next((g.entry["name"] for g in self.groups if g.first <= layer < g.end), None)


def check_fuse(fuse: str, objective: str, others: dict[str, object]) -> None:
    """Refuses what can't be fused.

    Args:
        fuse: ``off``, ``auto`` or a pattern.
        objective: must add up over layers.
        others: arguments that don't go with groups, by name.

    Raises:
        UsageError: says which, and what to do.
    """
    if fuse == OFF:
        return
    if not isinstance(fuse, str) or (fuse != AUTO and JOINT not in fuse):
        raise UsageError(
            f"fuse is off, auto, or names of layers joined by +, got {fuse!r}",
            where="fuse",
            hint='A pattern has a part for every layer of a group: "dw*+pw*" fuses dw1 with pw1, dw2 with pw2, …',
        )
    if fuse != AUTO and not all(part.strip() for part in fuse.split(JOINT)):
        raise UsageError(f"a part of the pattern {fuse!r} is empty", where="fuse", hint='As in "dw*+pw*".')
    if objective == "edp":
        raise UsageError(
            "energy × delay of a network is no sum over its groups, so that there is no best grouping by sums",
            where="fuse",
            hint="Ask for --objective energy or latency.",
        )
    for name, value in others.items():
        if value:
            raise UsageError(f"--fuse does not go with --{name}", where="fuse", hint=f"Leave out --{name} or --fuse.")


def matches(pattern: str, names: Sequence[str]) -> list[Cut]:
    """The runs of layers that a pattern names, from the first on and none in two.

    Raises:
        UsageError: it names none.
    """
    parts = [part.strip() for part in pattern.split(JOINT)]
    found: list[Cut] = []
    at = 0
    while at + len(parts) <= len(names):
        if all(fnmatchcase(name, part) for name, part in zip(names[at:], parts, strict=False)):
            found.append((at, at + len(parts)))
            at += len(parts)
        else:
            at += 1
    if not found:
        raise UsageError(
            f"the pattern {pattern!r} matches no layers that stand one after the other",
            where="fuse",
            hint=_nearest_miss(parts, names),
        )
    return found


def _nearest_miss(parts: Sequence[str], names: Sequence[str]) -> str:
    for part in parts:
        if not any(fnmatchcase(name, part) for name in names):
            return f"No layer is called {part!r}. The layers begin with {', '.join(names[:6])}; * stands for any letters."
    return "Each part matches some layer, but they don't follow one another in this order. `picojoule models show` lists the order."


def fuse_matching(pattern: str, network: Network, chains: Chains, fuser: Fuser, single: Single) -> Fusion:
    """The groups that a pattern names, all other layers on their own.

    Raises:
        UsageError: it names none, or layers that can't be a group here.
    """
    names = [layer.name for layer in network.layers]
    _check_levels(fuser.machine)
    groups: list[FusedGroup] = []
    for first, end in matches(pattern, names):
        listed = " + ".join(names[first:end])
        why = chains.hindrance(first, end)
        if why is not None:
            raise UsageError(f"{listed} can't be fused: {why}", where="fuse", hint="Name a chain of layers that hand on their results.")
        group = fuser.group(chains.members(first, end))
        group.solve()
        if group.best is None:
            level = fuser.machine.level(fusion_levels(fuser.machine)[-1])
            room = "" if level.capacity_bits is None else f" of {level.capacity_bits / 8192:,.0f} KiB"
            raise UsageError(
                f"{listed} don't fit: {level.name}{room} has no room for what lies between them, by any tile",
                where="fuse",
                hint="Fuse fewer layers, or give the machine more memory.",
            )
        groups.append(fused_group(fuser, group, f"g{len(groups) + 1}", first, names[first:end]))
    return _assembled(pattern, network, fuser, groups, single, proved=all(g.entry["status"] == "PROVED" for g in groups))


def fuse_best(network: Network, chains: Chains, fuser: Fuser, unfused: Sequence[LayerCosts], met: list[Met], single: Single) -> Fusion:
    """The grouping of least cost; layers as they are without fusion if none is better.

    Args:
        network, chains: the layers, and which of them can be groups.
        fuser: solves groups.
        unfused, met: what the layers cost without, and the machine that each met.
        single: a layer on its own.
    """
    count, names = len(network.layers), [layer.name for layer in network.layers]
    pieces: dict[Cut, Piece] = {(i, i + 1): _Single(i, fuser, unfused[i], met[i], single) for i in range(count)}
    groups = _groups(chains, fuser, count)
    pieces |= groups
    alone = math.fsum(_value(cost, fuser.objective) for cost in unfused)
    alone_bound = math.fsum(min(_value(cost, fuser.objective), cost.bound) for cost in unfused)
    value, bound, cuts = best_cuts(count, pieces, enough=alone * (1 - TIE))
    better = value < alone * (1 - TIE)
    made = []
    for first, end in cuts if better else []:
        if end - first > 1:
            group = groups[first, end]
            made.append(fused_group(fuser, group.group, f"g{len(made) + 1}", first, names[first:end]))
    bound = min(bound, alone_bound)
    value = min(value, alone)
    proved = bound >= value * (1 - 1e-9) and not fuser.effort.interrupted
    if made:
        return _assembled(AUTO, network, fuser, made, single, proved=proved, bound=bound, unfused=alone)
    record = _record(AUTO, fuser, proved, min(bound, alone), alone)
    return Fusion(costs=list(unfused), met=met, groups=(), record=record)


class _Single:
    """A layer on its own as a piece of a grouping. Where the unfused network leaves a tensor on the chip for it, it has to be
    solved without."""

    def __init__(self, i: int, fuser: Fuser, unfused: LayerCosts, met: Met, single: Single) -> None:
        self._i, self._objective, self._single = i, fuser.objective, single
        self.settled = not met.stays
        self.value = _value(unfused, fuser.objective) if self.settled else math.inf
        # What leaves and comes back costs no less than what stays.
        self.bound = 0.0 if nestless(unfused, fuser.objective) else unfused.bound

    def refine(self) -> None:
        if not self.settled:
            costs = self._single(self._i)
            self.value, self.bound, self.settled = _value(costs, self._objective), costs.bound, True


@dataclass(slots=True)
class _Shared:
    """A place where a group may stand; equal groups are solved once."""

    group: Any
    settled: bool = field(default=False, init=False)

    @property
    def bound(self) -> float:
        return self.group.bound

    @property
    def value(self) -> float:
        return self.group.value

    def refine(self) -> None:
        self.group.refine()
        self.settled = self.group.settled


def _groups(chains: Chains, fuser: Fuser, count: int) -> dict[Cut, Any]:
    found: dict[Cut, Any] = {}
    if not fusion_levels(fuser.machine):
        return found
    for first in range(count):
        for end in range(first + 2, min(count, first + LONGEST) + 1):
            if chains.unfit(end - 1) or chains.unfit(first):
                break
            if chains.hindrance(first, end) is not None:
                if chains.broken(first, end):
                    break
                continue
            found[first, end] = _Shared(fuser.group(chains.members(first, end)))
    return found


def nestless(cost: LayerCosts, objective: str) -> bool:
    """Whether a layer counts for nothing: it takes no time that is modelled."""
    return objective != "energy" and cost.cycles is None


def _value(cost: LayerCosts, objective: str) -> float:
    return 0.0 if nestless(cost, objective) else cost.value


def _check_levels(machine: Accelerator) -> None:
    if not fusion_levels(machine):
        raise UsageError(
            f"{machine.name} has no memory for results between layers: one outside of its arrays and inside of the home of inputs and "
            "outputs, which keeps both",
            where="fuse",
            hint="Where tensors spill (`spills_to`) they stay on the chip already if they fit.",
        )


def _assembled(
    asked: str,
    network: Network,
    fuser: Fuser,
    groups: Sequence[FusedGroup],
    single: Single,
    *,
    proved: bool,
    bound: float | None = None,
    unfused: float | None = None,
) -> Fusion:
    inside = {i: group.costs[i - group.first] for group in groups for i in range(group.first, group.end)}
    costs = [inside[i] if i in inside else single(i) for i in range(len(network.layers))]
    record = _record(asked, fuser, proved, bound, unfused)
    return Fusion(costs=costs, met=[Met(machine=fuser.machine)] * len(costs), groups=tuple(groups), record=record)


def _record(asked: str, fuser: Fuser, proved: bool, bound: float | None, unfused: float | None) -> dict[str, Any]:
    effort = fuser.effort
    status = "INTERRUPTED" if effort.interrupted else "PROVED" if proved else "GAP_OPEN"
    return {
        "asked": asked,
        "status": status,
        "bound": bound,
        "unfused": unfused,
        "searched": {"groups": effort.groups, "tilings": effort.tilings, "nests": effort.nests},
    }
