"""Costs of layers that are worked out once and never again: a search that is asked anew finds the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from picojoule.compress.meters import Meter
from picojoule.jobs import Journal
from picojoule.workload.network import Layer, Network

FILE = "table.journal"
_FIXED = "fixed"


class FrozenTable:
    """Costs of layers by meter, in a file to which each goes as soon as it is known, once ``freeze`` has named it.

    Args:
        meters: the currencies.

    Attributes:
        scales: what the sums of each meter are multiplied by: what the network that was measured last took of what its layers add up to.
    """

    def __init__(self, meters: Sequence[Meter]) -> None:
        self.meters = list(meters)
        self.scales = [1.0] * len(self.meters)
        self._known: dict[str, float] = {}
        self._journal: Journal | None = None

    def freeze(self, folder: Path) -> None:
        """Goes on with what lies in the folder, and keeps there what comes.

        Raises:
            UsageError: another process works there.
        """
        self._journal = Journal(folder / FILE)
        self._known |= self._journal.answers
        for key, cost in self._known.items():
            if key not in self._journal.answers:
                self._journal.add(key, cost)

    def close(self) -> None:
        """Lets go of the file."""
        if self._journal is not None:
            self._journal.close()

    def costs(self, networks: Iterable[Network]) -> list[list[float]]:
        """What each network costs, by meter; what isn't known is measured now."""
        every = list(networks)
        for meter in self.meters:
            missing: dict[str, Layer] = {}
            for network in every:
                for layer in network.layers:
                    key = _key(meter, layer)
                    if key is not None and key not in self._known:
                        missing.setdefault(key, layer)
            if missing:
                for layer, cost in meter.measure(list(missing.values())):
                    key = _key(meter, layer)
                    assert key is not None
                    self._keep(key, cost)
            if _named(meter, _FIXED) not in self._known:
                self._keep(_named(meter, _FIXED), meter.fixed())
        return [
            [scale * self._sum(meter, network) for meter, scale in zip(self.meters, self.scales, strict=True)]
            for network in every
        ]

    def calibrate(self, network: Network, whole: Sequence[float | None]) -> list[float]:
        """Scales the sums of each meter to what this network takes as a whole, where that was measured; what it costs by all."""
        self.costs([network])
        for place, (meter, cost) in enumerate(zip(self.meters, whole, strict=True)):
            added = self._sum(meter, network)
            if cost is not None and added:
                self.scales[place] = cost / added
        return self.costs([network])[0]

    def _sum(self, meter: Meter, network: Network) -> float:
        keys = (_key(meter, layer) for layer in network.layers)
        return math.fsum([self._known[_named(meter, _FIXED)], *(self._known[key] for key in keys if key is not None)])

    def _keep(self, key: str, cost: float) -> None:
        self._known[key] = cost
        if self._journal is not None:
            self._journal.add(key, cost)


def _named(meter: Meter, text: str) -> str:
    return f"{meter.kind} {meter.where} {text}"


def _key(meter: Meter, layer: Layer) -> str | None:
    key = meter.key(layer)
    return None if key is None else _named(meter, key)
