"""What a measurement found, and its file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from picojoule.runtime.energy import Energy
from picojoule.runtime.peak_memory import PeakMemory
from picojoule.runtime.threads import Threads
from picojoule.version import __version__

SCHEMA = "picojoule/measurement/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Samples of one quantity in brief.

    Attributes:
        median, q1, q3, least, most: of the samples.
        samples: how many there are.
    """

    median: float
    q1: float
    q3: float
    least: float
    most: float
    samples: int


def spread(samples: Sequence[float]) -> Spread:
    """Median, quartiles (linear between samples) and extremes.

    >>> spread([4.0, 1.0, 2.0, 3.0]).median
    2.5
    """
    ordered = sorted(samples)

    def quantile(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return Spread(
        median=quantile(0.5),
        q1=quantile(0.25),
        q3=quantile(0.75),
        least=ordered[0],
        most=ordered[-1],
        samples=len(ordered),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """A node of the graph as the runtime ran it: often several of the file's, fused.

    Attributes:
        name, op: as the runtime calls it.
        seconds: of one run of the network, under the profiler, which adds about two microseconds to each node.
        share: of all nodes together.
    """

    name: str
    op: str
    seconds: Spread
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """What the look-up table says about the same network.

    Attributes:
        latency_s: by the table.
        measured_s: median of runs that nothing interrupted, made in turn with the layers where these had to be measured;
            None if every run was interrupted.
        error: of the table relative to that, or None.
        left_out: layers that the table has no figure for.
        measured_now: layer shapes that had to be measured for it.
    """

    latency_s: float
    measured_s: float | None
    error: float | None
    left_out: tuple[str, ...]
    measured_now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One network's figures.

    Attributes:
        model: what the user called it.
        latencies_s: of every run, in order.
        interrupted: runs during which other programs had the processor; None where that can't be told.
        quiet_s: median of the runs that nothing interrupted; None where that can't be told.
        nodes: in the order in which they ran; empty through a runner.
        peak_memory, energy: see there.
    """

    model: str
    latencies_s: tuple[float, ...]
    interrupted: int | None = None
    quiet_s: float | None = None
    nodes: tuple[NodeTime, ...] = ()
    peak_memory: PeakMemory | None = None
    energy: Energy | None = None
    table: TableCheck | None = None

    @property
    def latency_s(self) -> Spread:
        return spread(self.latencies_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What `measure` returns.

    Attributes:
        network: the model.
        against: the other one, or None.
        ratio: latency of ``against`` over that of ``network``, of runs made right after one another; with one thread only of
            pairs that nothing interrupted, if there are any. None without ``against``.
        machine: this machine; empty through a runner.
        runtime: ONNX Runtime and its version, or the runner's command.
        threads: how many, and where they were held; None through a runner.
        batch: as asked for; None if the model's own.
        warmup: runs that were left out before.
        seed: of the inputs.
        failed: why it ended before its time, as in an error's JSON; None if it didn't.
    """

    network: Side
    against: Side | None = None
    ratio: Spread | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    runtime: str
    threads: Threads | None = None
    batch: int | None = None
    warmup: int = 0
    seed: int = 0
    failed: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a file: seconds, joules, bytes; every sample."""
        data = asdict(self)
        for name in ("network", "against"):
            side = getattr(self, name)
            if side is not None:
                summary = asdict(side.latency_s) if side.latencies_s else None
                data[name] = {
                    "model": side.model,
                    "latency_s": summary,
                    **{k: v for k, v in data[name].items() if k != "model"},
                }
        return {"schema": SCHEMA, "picojoule": __version__, **data}
