"""Which exits are worth their energy: heads priced on a machine, and places chosen by what they save, before anything is trained in earnest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.exits.cutting import Cuttable, Place
from picojoule.exits.deciding import settings_of
from picojoule.exits.energies import ExitEnergies, energies_of_heads
from picojoule.exits.heads import Head, heads_for
from picojoule.exits.network_with_exits import NewExit, holder, with_exits
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.search.policy import Exact

CANDIDATES = 10
"""Places that are tried at most, evenly along the network's energy."""

PRICING = Exact(gap=0.05, time_limit_s=None)
"""How well the mappings of candidates are known."""

_PRICED, _BEYOND = 3, 1.5
"""Heads with convolutions that are priced at a place, and how far their share of MACs may be above the share of energy asked for."""

_WORTH, _LEVELS = 0.01, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An exit that was tried.

    Attributes:
        place: that it reads.
        head: in words.
        energy: of a sample that leaves there, were it the only exit asked before the last; in the machine's unit.
        head_energy: of it, what the classifier takes.
        accuracy: after a short training, on the choosing images.
        saved: share of the network's energy that it would save, alone with the last exit; below 0 where it costs.
        rank: 1 for the place that was chosen first; None: not chosen.
        saved_with: share saved by this one and those chosen before it; None: not chosen.
    """

    place: str
    head: str
    energy: float
    head_energy: float
    accuracy: float
    saved: float
    rank: int | None = None
    saved_with: float | None = None


def spaced(cut: Cuttable, alone: Estimate) -> list[Place]:
    """Places that are tried: those that a classifier can read, evenly along the energy if they are many."""
    energies = {layer.name: layer.energy_pj for layer in alone.layers}
    places = [place for place in cut.places if heads_for(place.shape, cut.classes)]
    if len(places) <= CANDIDATES:
        return places
    reached = np.array([sum(energies.get(name, 0.0) for name in place.before) for place in places])
    wanted = np.linspace(reached[0], reached[-1], CANDIDATES)
    return [places[k] for k in sorted({int(np.abs(reached - one).argmin()) for one in wanted})]


def sized(
    cut: Cuttable,
    places: Sequence[Place],
    example: Any,
    alone: Estimate,
    *,
    share: float,
    hardware: Accelerator,
    bits: Any = None,
) -> tuple[list[NewExit], ExitEnergies]:
    """The largest classifier at each place that takes no more than a share of the network's energy, and what all take.

    Places without such a classifier, or from where going on costs less than it, are left out.

    Args:
        cut: the network.
        places: to price.
        example: an input of batch 1.
        alone: estimate of the network as it came, on the same machine.
        share: of its energy, that one classifier may take.
        hardware: the machine.
        bits: as ``estimate`` takes them.
    """
    most = share * alone.energy_pj_per_inference
    tried = [NewExit(place=place, head=head) for place in places for head in _near(place, cut.classes, share * alone.macs)]
    if not tried:
        return [], ExitEnergies.of_stages([alone.energy_pj_per_inference])
    parts = energies_with(cut, tried, example, hardware=hardware, bits=bits, search=PRICING)[0]
    found: dict[str, int] = {}
    for index, one in enumerate(tried):
        reached = sum(parts.trunk[: index + 1])
        fits = parts.heads[index] <= most and reached + parts.heads[index] < sum(parts.trunk)
        if fits and parts.heads[index] >= parts.heads[found.get(one.place.node, index)]:
            found[one.place.node] = index
    kept = list(found.values())
    ends = np.cumsum(parts.trunk)[[*kept, len(tried)]]
    return [tried[index] for index in kept], ExitEnergies(
        trunk=tuple(np.diff([0.0, *ends]).tolist()), heads=(*(parts.heads[index] for index in kept), 0.0)
    )


def _near(place: Place, classes: int, macs: float) -> list[Head]:
    heads = heads_for(place.shape, classes)
    return [head for head in heads if not head.convs] + [h for h in heads if h.convs and h.macs <= _BEYOND * macs][-_PRICED:]


def energies_with(
    cut: Cuttable, exits: Sequence[NewExit], example: Any, *, hardware: Accelerator, bits: Any, search: Exact
) -> tuple[ExitEnergies, Estimate]:
    """Energies of trunk and classifiers of a network with those exits, from one estimate; and the estimate."""
    network = with_exits(cut, exits)
    home = holder(cut.traced)
    result = estimate_uninterrupted(network, example, hardware=hardware, bits=bits, search=search)
    names = [layer.name for layer in result.layers]
    last = [[name for name in names if name.startswith(f"{home}.{index}.")][-1] for index in range(len(exits))]
    return energies_of_heads(result, [*last, next(n for n in reversed(names) if not n.startswith(f"{home}."))]), result


def chosen_by_saving(
    exits: Sequence[NewExit],
    logits: np.ndarray,
    labels: np.ndarray,
    energies: ExitEnergies,
    *,
    lose: float,
    most: int,
    rule: str = "margin",
) -> list[Probe]:
    """Takes, one after the other, the exit with which the least energy is to be expected, while that is 1 % less at least.

    Args:
        exits: that were tried.
        logits: exits × images × classes of them and of the last exit.
        labels: of the images, which trained none of them.
        energies: of all.
        lose: accuracy that may be lost against the last exit, as a share of images.
        most: exits that are taken at most.
        rule: of confidence, by which thresholds are chosen.

    Raises:
        InputError: none saves anything.
    """
    last = len(exits)
    right = (logits.argmax(2) == labels).mean(1)
    alone = energies.leaving([last])[0]
    target = right[last] - lose

    def expected(asked: Sequence[int]) -> float:
        try:
            settings, _, _ = settings_of(logits, labels, energies, (*sorted(asked), last), rule=rule, levels=_LEVELS)
        except InputError:
            return alone  # an exit that knows nothing: no temperature makes its scores speak
        return min((setting.energy for setting in settings if setting.accuracy >= target), default=alone)

    by_one = [expected([index]) for index in range(last)]
    taken: list[int] = []
    reached, steps = alone, []
    while len(taken) < min(most, last):
        left = [index for index in range(last) if index not in taken]
        tried = [expected([*taken, index]) if taken else by_one[index] for index in left]
        best = int(np.argmin(tried))
        if tried[best] > reached - _WORTH * alone:
            break
        reached = tried[best]
        taken.append(left[best])
        steps.append(1 - reached / alone)
    if not taken:
        nearest = int(np.argmin(by_one)) if by_one else None
        shown = "no place has a classifier that saves" if nearest is None else (
            f"the best place, {exits[nearest].place.name}, saves {1 - by_one[nearest] / alone:.1%} at {right[nearest]:.1%} right"
        )
        raise InputError(
            f"no exit is worth its energy: {shown}",
            where="at",
            hint="Let more accuracy be lost (lose), let heads take more or less energy (head_energy), or name places.",
        )
    return [
        Probe(
            place=one.place.name,
            head=one.head.shown,
            energy=energies.leaving([index])[0] if index < last else alone,
            head_energy=energies.heads[index],
            accuracy=float(right[index]),
            saved=1 - by_one[index] / alone,
            rank=taken.index(index) + 1 if index in taken else None,
            saved_with=steps[taken.index(index)] if index in taken else None,
        )
        for index, one in enumerate(exits)
    ]


def refuse_useless(place: Place, cut: Cuttable, share: float, alone: Estimate) -> Exception:
    """Why a place that was asked for by name gets no exit."""
    if not heads_for(place.shape, cut.classes):
        return UsageError(
            f"a classifier reads channels × rows × columns, or features; after {place.name!r} crosses {list(place.shape)}",
            where="at",
            hint="Name a place where maps or features cross.",
        )
    return UsageError(
        f"no exit after {place.name!r} can save: either what follows takes less energy than its smallest classifier, or that takes more"
        f" than {share:.1%} of the network's {alone.energy_pj_per_inference:.4g} {alone.table['unit']}",
        where="at",
        hint=f"Name an earlier place, or allow more (head_energy). Places: {', '.join(p.name for p in cut.places)}.",
    )
