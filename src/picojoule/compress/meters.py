"""What a budget counts, layer by layer: MACs, modelled energy or latency, latency measured here or by the user's command."""

from __future__ import annotations

import statistics
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from picojoule.compress.handover import measured_ms
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.hardware import Accelerator
from picojoule.search.policy import Exact
from picojoule.workload.network import Layer, Network

CALLS = 3
"""Of the user's command for one file; the median counts."""
PAIRS = 301
"""Runs of two networks in turn."""


class Meter(ABC):
    """One currency, by layers.

    Attributes:
        kind: ``macs``, ``energy``, ``latency``, or ``measured latency``.
        where: the machine, or how it is measured.
        unit: pJ or the machine's own, MACs, or seconds.
    """

    kind: str
    where: str
    unit: str

    @abstractmethod
    def key(self, layer: Layer) -> str | None:
        """All of a layer that its cost depends on; None if it costs nothing."""

    @abstractmethod
    def measure(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, float]]:
        """The cost of each layer, one after the other, so that each can be kept as soon as it is there."""

    def fixed(self) -> float:
        """What a network costs beside its layers."""
        return 0.0


class Clock(Meter):
    """A currency in which whole networks are measured, too; in any other the sum over layers is the cost."""

    kind, unit = "measured latency", "s"

    @abstractmethod
    def whole(self, model: Path, shape: Sequence[int]) -> float:
        """Seconds that an ONNX file takes."""

    @abstractmethod
    def ratio(self, model: Path, against: Path, shape: Sequence[int]) -> float:
        """What an ONNX file takes of another, run in turn."""

    def key(self, layer: Layer) -> str | None:
        from picojoule.runtime.layer_models import shape_of

        shape = shape_of(layer)
        return None if shape is None else repr((shape, layer.repeats))


class Macs(Meter):
    """Multiplies and adds."""

    kind, where, unit = "macs", "", "MACs"

    def key(self, layer: Layer) -> str | None:
        return None if layer.nest is None else repr((layer.nest, layer.repeats))

    def measure(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, float]]:
        for layer in layers:
            yield layer, float(layer.macs)


class Modelled(Meter):
    """Energy or latency on a machine, every element taken for non-zero.

    Args:
        kind: ``energy`` or ``latency``.
        machine: to model.
        bits: as ``estimate`` takes them.
        search: how far each layer is searched.
        jobs: processes that search.
    """

    def __init__(self, kind: str, machine: Accelerator, *, bits: Any, search: Exact, jobs: int = 1) -> None:
        self.kind, self.where = kind, machine.name
        self.unit = machine.unit if kind == "energy" else "s"
        self._machine, self._bits, self._search, self._jobs = machine, bits, search, jobs

    def key(self, layer: Layer) -> str | None:
        return repr(replace(layer, name="", op=""))

    def measure(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, float]]:
        # Layers of the same name would be mistaken for one another.
        renamed = tuple(replace(layer, name=f"layer{place}") for place, layer in enumerate(layers))
        found = estimate_uninterrupted(
            Network(name="layers", layers=renamed),
            hardware=self._machine,
            bits=self._bits,
            objective=self.kind,
            search=self._search,
            jobs=self._jobs,
        )
        costs = {}
        for row in found.layers:
            if self.kind == "energy":
                costs[row.name] = row.energy_pj
            else:
                assert found.latency_s is not None
                costs[row.name] = (row.latency_cycles or 0.0) * found.latency_s / (found.latency_cycles or 1.0)
        for layer, alias in zip(layers, renamed, strict=True):
            yield layer, float(costs[alias.name])


class MeasuredHere(Clock):
    """Latency by the look-up table of this machine: ONNX Runtime, one thread, batch 1.

    Args:
        table: a ``runtime.LatencyTable``.
    """

    where = "measured"

    def __init__(self, table: Any) -> None:
        self._table = table

    def measure(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, float]]:
        named = tuple(replace(layer, name=f"layer{place}") for place, layer in enumerate(layers))
        network = Network(name="layers", layers=named)
        self._table.prepare([network])
        found = self._table.predict(network).layers_s
        for layer, alias in zip(layers, named, strict=True):
            yield layer, found[alias.name]

    def fixed(self) -> float:
        self._table.prepare([])
        return float(self._table.predict(Network(name="none", layers=())).run_s)

    def whole(self, model: Path, shape: Sequence[int]) -> float:
        return measured_ms(model, shape)[0] / 1e3

    def ratio(self, model: Path, against: Path, shape: Sequence[int]) -> float:
        first, second = measured_ms(against, shape, against=model, repeats=PAIRS)
        return second / first


class MeasuredByRunner(Clock):
    """Latency by the user's command: of a layer in its surroundings, less the surroundings alone.

    Args:
        runner: a ``runtime.command_runner.CommandRunner``.
    """

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.where = runner.command

    def measure(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, float]]:
        from picojoule.runtime.layer_models import carrier, shape_of

        for layer in layers:
            shape = shape_of(layer)
            assert shape is not None
            both = self._seconds(carrier([shape])) - self._seconds(carrier([shape], bare=True))
            yield layer, max(both, 0.0) * layer.repeats

    def whole(self, model: Path, shape: Sequence[int]) -> float:
        return statistics.median(self._runner.read(model).seconds for _ in range(CALLS))

    def ratio(self, model: Path, against: Path, shape: Sequence[int]) -> float:
        pairs = [(self._runner.read(model).seconds, self._runner.read(against).seconds) for _ in range(CALLS)]
        return statistics.median(new / old for new, old in pairs)

    def _seconds(self, model: bytes) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "layers.onnx")
            path.write_bytes(model)
            return statistics.median(self._runner.read(path).seconds for _ in range(CALLS))
