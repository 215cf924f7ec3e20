"""One choice for every layer, of least damage within a budget: the multiple-choice knapsack, solved exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Choice:
    """What a layer may become: its cost, and the damage that it does (both finite)."""

    cost: float
    damage: float


def choose(choices: Mapping[str, Sequence[Choice]], budget: float) -> dict[str, int] | None:
    """The choice of every layer such that costs add up to at most the budget and damages to the least sum.

    Costs and damages of layers are added; of equal damages the cheaper is taken. Exact: all partial sums that no other
    undercuts in both are kept, layer after layer, so that nothing is rounded to a grid. A partial sum that can't meet
    the budget even with the cheapest choice of all layers to come is dropped.

    Args:
        choices: by layer, at least one each.
        budget: in the unit of the costs.

    Returns:
        The index of the choice by layer, or None if even the cheapest choices cost more than the budget.
    """
    names = list(choices)
    cheapest = np.array([min(choice.cost for choice in choices[name]) for name in names])
    to_come = np.append(np.cumsum(cheapest[::-1])[::-1][1:], 0.0)
    costs, damages = np.zeros(1), np.zeros(1)
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    for name, later in zip(names, to_come, strict=True):
        own_cost = np.array([choice.cost for choice in choices[name]])
        own_damage = np.array([choice.damage for choice in choices[name]])
        cost = (costs[:, None] + own_cost).ravel()
        damage = (damages[:, None] + own_damage).ravel()
        index = np.flatnonzero(cost + later <= budget * (1 + 1e-12))
        if not len(index):
            return None
        index = index[np.lexsort((damage[index], cost[index]))]
        # Ascending costs: a sum counts only if it does less damage than all that are cheaper.
        least = np.minimum.accumulate(damage[index])
        kept = index[np.append(True, damage[index][1:] < least[:-1])]
        steps.append((kept // len(own_cost), kept % len(own_cost)))
        costs, damages = cost[kept], damage[kept]
    at = int(np.argmin(damages))
    chosen: dict[str, int] = {}
    for name, (before, own) in zip(reversed(names), reversed(steps), strict=True):
        chosen[name] = int(own[at])
        at = int(before[at])
    return {name: chosen[name] for name in names}
