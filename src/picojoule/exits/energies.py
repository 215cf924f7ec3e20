"""What a sample costs that leaves at an exit: the layers on the way, and every classifier that was asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from picojoule.errors import InputError, UnknownNameError, nearest
from picojoule.result import Estimate, LayerEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEnergies:
    """Energies of the parts of a network with exits, per sample; in any unit.

    Attributes:
        trunk: of the layers that exit e needs and no exit before it does, classifiers left out; by exit.
        heads: of each exit's classifier.
    """

    trunk: tuple[float, ...]
    heads: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.trunk or len(self.trunk) != len(self.heads):
            raise InputError(
                f"each exit has a trunk and a head, got {len(self.trunk)} and {len(self.heads)}", where="energies"
            )
        for name in ("trunk", "heads"):
            for e, value in enumerate(getattr(self, name)):
                if not (math.isfinite(value) and value >= 0):
                    raise InputError(f"an energy is a number from 0, got {value!r}", where=f"energies.{name}[{e}]")

    @classmethod
    def of_stages(cls, energies: Sequence[float]) -> ExitEnergies:
        """From what a sample takes in all that leaves at each exit, heads passed included. Heads count as trunk: what
        leaving one out would save isn't known.

        Raises:
            InputError: energies that fall from one exit to the next.
        """
        fall = next((e for e in range(1, len(energies)) if energies[e] < energies[e - 1]), None)
        if fall is not None:
            raise InputError(
                f"exit {fall} takes {energies[fall]:g}, less than exit {fall - 1} with {energies[fall - 1]:g}",
                where="energies",
                hint="Give what a sample took in all when it leaves there: layers and heads passed included.",
            )
        steps = [b - a for a, b in zip([0.0, *energies], energies, strict=False)]
        return cls(trunk=tuple(steps), heads=(0.0,) * len(energies))

    def leaving(self, asked: Iterable[int] | None = None) -> tuple[float, ...]:
        """Of a sample that leaves at each of the exits that are asked; by default all are.

        >>> ExitEnergies(trunk=(1, 10, 10), heads=(2, 2, 2)).leaving([0, 2])
        (3.0, 25.0)
        """
        asked = range(len(self.trunk)) if asked is None else asked
        found, before = [], 0.0
        for e in asked:
            before += self.heads[e]
            found.append(sum(self.trunk[: e + 1]) + before)
        return tuple(found)


def energies_of_heads(result: Estimate, heads: Sequence[str]) -> ExitEnergies:
    """Splits an estimate of a network with exits by what each exit needs: data movement included.

    What only one exit needs is its head, what several need is trunk. Of the last exit all is trunk: it is always asked.

    Args:
        result: of ``estimate``, of the whole network with all exits.
        heads: the last layer of each exit, in order.

    Raises:
        UnknownNameError: a head that isn't a layer.
        InputError: the estimate doesn't say what its layers read, or a later exit needs less.
    """
    layers = {layer.name: layer for layer in result.layers}
    for name in heads:
        if name not in layers:
            raise UnknownNameError(
                f"{result.model} has no layer {name!r}", where="heads", hint=nearest(name, list(layers))
            )
    if not heads:
        raise InputError("there is no exit", where="heads")
    if len(set(heads)) < len(heads):
        raise InputError(f"an exit is named twice: {', '.join(heads)}", where="heads")
    needed = [_needed(layers, name) for name in heads]
    trunk, own = [], []
    before: set[str] = set()
    for e, mine in enumerate(needed):
        others = set().union(*needed[:e], *needed[e + 1 :])
        private = mine - others if e < len(needed) - 1 else set()
        trunk.append(math.fsum(layers[name].energy_pj for name in mine - private - before) / result.batch)
        own.append(math.fsum(layers[name].energy_pj for name in private) / result.batch)
        before |= mine
    if heads[-1] in set().union(*needed[:-1]):
        raise InputError(f"{heads[-1]!r} is no last exit: another one needs it", where="heads")
    return ExitEnergies(trunk=tuple(trunk), heads=tuple(own))


def _needed(layers: dict[str, LayerEstimate], head: str) -> set[str]:
    found: set[str] = set()
    waiting = [head]
    while waiting:
        name = waiting.pop()
        if name in found or name not in layers:
            continue  # an input of the network is no layer
        found.add(name)
        reads = layers[name].reads
        if reads is None:
            raise InputError(
                f"the estimate doesn't say what {name!r} reads, so what an exit needs isn't known",
                where="heads",
                hint="Estimate the network from an ONNX file or an nn.Module, or give the energies themselves.",
            )
        waiting += reads
    return found
