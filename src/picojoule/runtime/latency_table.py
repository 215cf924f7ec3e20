"""Latency by layer shape: measured on a grid of channels, kept, interpolated, and added up to that of a network.

NetAdapt's idea (Yang et al., ECCV 2018, section 3.3): the latency of a network is the sum over its layers, so that a
table by layer shape foretells networks that nobody has run. What is added here: layers are timed in the surroundings
that they'll have (``layer_models``), and what the runtime adds for a node and for a run is measured, too.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picojoule.errors import UsageError
from picojoule.runtime.energy import WINDOW_S, Counter, measured_energy
from picojoule.runtime.latency_store import Context, LatencyStore, Timing
from picojoule.runtime.layer_models import BALLAST_BYTES, LayerShape, carrier, chain, in_batches, node_name, shape_of
from picojoule.runtime.machine import machine_name
from picojoule.runtime.threads import pinned
from picojoule.runtime.timed_session import Run, TimedSession, import_onnxruntime, open_session, profiles_ended, quiet, quietest
from picojoule.workload.nest import Nest
from picojoule.workload.network import Network

GRID = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""Channels at which a layer is measured; between two of them its latency is interpolated."""
ROUNDS, RUNS, TRIES = 12, 5, 4
"""How often every network gets its turn, calm runs in each, and how many times as many are tried."""

_OPEN_TOGETHER = 16
_IMAGE_CHANNELS = 4
_ALIGNED = 4
"""The runtime's blocked kernels want channels in multiples of this; others go another way and aren't interpolated."""
_CHAINS = (8, 40)
_ALONE = ("fc", "matmul")
"""Kinds of layers that have nothing before or after them in a carrier."""
_NODE, _RUN = LayerShape("node", Nest()), LayerShape("run", Nest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a table says about a network.

    Attributes:
        latency_s: of one run of the network.
        layers_s: of each layer that the table has, by name, with what the runtime needs to come to it.
        run_s: what the runtime adds once for the run.
        left_out: layers that no table has, by name: their time is missing from ``latency_s``.
        joules: energy of one run, or None where a layer's wasn't measured.
    """

    latency_s: float
    layers_s: dict[str, float]
    run_s: float
    left_out: tuple[str, ...]
    joules: float | None = None


class LatencyTable:
    """Latencies of layer shapes on this machine, measured when they are asked for.

    Args:
        path: SQLite file that keeps them, or None to keep them in memory; several processes may share one.
        threads: that work on one layer.
        grid: channels at which layers are measured, from the least.
        rounds: turns of each network of layers; the noisier the machine, the more it takes.
        counter: a meter: measure the energy of every layer, too, some seconds for each. None: none is measured.

    Raises:
        UsageError: a grid that doesn't rise.
        MissingExtraError: onnxruntime isn't installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        threads: int = 1,
        grid: Sequence[int] = GRID,
        rounds: int = ROUNDS,
        counter: Counter | None = None,
    ) -> None:
        if list(grid) != sorted(set(grid)) or not grid or grid[0] < 1:
            raise UsageError(f"a grid of channels rises from 1 or more, got {list(grid)}", where="grid")
        self.store = LatencyStore(None if path is None else Path(path))
        self.context = Context(
            machine=machine_name(), runtime=f"onnxruntime {import_onnxruntime().__version__}", threads=threads
        )
        self._grid = tuple(grid)
        self._rounds = rounds
        self._counter = counter
        self._window_s = WINDOW_S
        self._block = channel_block()

    def prepare(
        self,
        networks: Iterable[Network],
        *,
        meanwhile: Callable[[], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Measures what the table lacks for ``networks``.

        Args:
            networks: to be foretold.
            meanwhile: called in every round, for what is to be measured at the same time.
            progress: called with the rounds done and the rounds there are.

        Returns:
            How many shapes were measured.
        """
        wanted: dict[LayerShape, None] = {}
        for network in networks:
            for layer in network.layers:
                shape = shape_of(layer)
                if shape is not None:
                    wanted.update(dict.fromkeys(corner for corner, _ in self._corners(shape)))
        missing = [shape for shape in wanted if self._lacks(shape)]
        # Layers of one size together, as they stand in a network.
        missing.sort(key=lambda s: (-s.nest.P * s.nest.Q, s.nest.G * s.nest.C, s.nest.G * s.nest.K))
        batches = list(in_batches(missing))
        if self.store.get(self.context, _RUN) is None:
            self.store.put(self.context, self._overheads())
        node = self._stored(_NODE)
        groups = [batches[i : i + _OPEN_TOGETHER] for i in range(0, len(batches), _OPEN_TOGETHER)]
        with pinned(self.context.threads):
            for number, group in enumerate(groups):
                opened = [
                    open_session(carrier(b), threads=self.context.threads, profiled=True, label="layers") for b in group
                ]
                made: list[list[Run]] = [[] for _ in opened]
                with profiles_ended(opened):
                    for done in range(self._rounds):
                        for place, session in enumerate(opened):
                            made[place] += turn(session)
                        if meanwhile is not None:
                            meanwhile()
                        if progress is not None:
                            progress(number * self._rounds + done + 1, len(groups) * self._rounds)
                    found = [
                        timing
                        for batch, session, runs in zip(group, opened, made, strict=True)
                        for timing in _timings(batch, session, runs, node.seconds)
                    ]
                if self._counter is not None:
                    found = [(shape, replace(timing, joules=self._joules(shape))) for shape, timing in found]
                self.store.put(self.context, found)
        return len(missing)

    def layer(self, shape: LayerShape) -> Timing | None:
        """What the table says about a shape, interpolated where it lies between what was measured.

        Returns:
            The timing, or None if the table lacks it; ``prepare`` fills it in.
        """
        seconds, low, high, joules, samples = 0.0, 0.0, 0.0, 0.0, []
        for corner, weight in self._corners(shape):
            timing = self.store.get(self.context, corner)
            if timing is None:
                return None
            seconds, low, high = (
                seconds + weight * timing.seconds,
                low + weight * timing.q1_s,
                high + weight * timing.q3_s,
            )
            joules = None if joules is None or timing.joules is None else joules + weight * timing.joules
            samples.append(timing.samples)
        return Timing(seconds=seconds, q1_s=low, q3_s=high, samples=min(samples), joules=joules)

    def measured(self, shape: LayerShape) -> bool:
        """Whether the very shape was measured, so that nothing is interpolated for it."""
        return self.store.get(self.context, shape) is not None

    def predict(self, network: Network) -> Prediction:
        """The latency of a network whose shapes were prepared.

        Raises:
            UsageError: the table lacks one of them.
        """
        layers, left_out, joules = {}, [], 0.0
        for layer in network.layers:
            shape = shape_of(layer)
            if shape is None:
                left_out.append(layer.name)
                continue
            timing = self.layer(shape)
            if timing is None:
                raise UsageError(
                    f"the table lacks layer {layer.name}", where=network.name, hint="prepare() measures it."
                )
            layers[layer.name] = timing.seconds * layer.repeats
            joules = None if joules is None or timing.joules is None else joules + timing.joules * layer.repeats
        run_s = self._stored(_RUN).seconds
        return Prediction(
            latency_s=sum(layers.values()) + run_s,
            layers_s=layers,
            run_s=run_s,
            left_out=tuple(left_out),
            joules=joules,
        )

    def _lacks(self, shape: LayerShape) -> bool:
        timing = self.store.get(self.context, shape)
        return timing is None or (self._counter is not None and timing.joules is None)

    def _joules(self, shape: LayerShape) -> float | None:
        """Energy of a layer: what its surroundings take with it less what they take without it; None if a counter stood still."""
        found = []
        for bare in (False, True):
            if bare and shape.kind in _ALONE and shape.weight_bytes >= BALLAST_BYTES:
                found.append(0.0)  # nothing is left without it
                continue
            session = open_session(carrier([shape], bare=bare), threads=self.context.threads, label="layer")
            assert self._counter is not None
            joules = measured_energy(session.run, self._counter, windows=3, window_s=self._window_s).joules
            if joules is None:
                return None
            found.append(joules)
        return max(found[0] - found[1], 0.0)

    def _corners(self, shape: LayerShape) -> list[tuple[LayerShape, float]]:
        """The measured shapes around ``shape`` and the weight of each; the shape itself where it is not interpolated."""
        nest = shape.nest
        axes = ("G",) if nest.depthwise else ("C", "K") if nest.G == 1 and shape.kind != "matmul" else ()
        block = 1 if shape.kind == "fc" else self._block
        # An image, or fewer channels than a block, is read in another layout.
        free = [axis for axis in axes if axis != "C" or nest.C >= block]
        if any(getattr(nest, axis) % _ALIGNED for axis in axes if block > 1 and (nest.depthwise or nest.C > _IMAGE_CHANNELS)):
            free = []
        sides = [self._side(getattr(nest, axis), block) for axis in free]
        corners: dict[LayerShape, float] = {}
        for choice in itertools.product(*sides):
            weight, sizes = 1.0, {}
            for axis, (size, share) in zip(free, choice, strict=True):
                weight, sizes[axis] = weight * share, size
            corner = LayerShape(shape.kind, replace(nest, **sizes))
            corners[corner] = corners.get(corner, 0.0) + weight
        return list(corners.items())

    def _side(self, channels: int, block: int) -> list[tuple[int, float]]:
        """The one or two sizes of the grid that stand for ``channels``, with weights that add up to 1."""
        size = -(-channels // block) * block
        place = bisect.bisect_left(self._grid, size)
        if place == len(self._grid) or self._grid[place] == size or place == 0:
            return [(size, 1.0)]
        low, high = self._grid[place - 1], self._grid[place]
        share = (size - low) / (high - low)
        return [(low, 1 - share), (high, share)]

    def _stored(self, shape: LayerShape) -> Timing:
        timing = self.store.get(self.context, shape)
        if timing is None:
            raise UsageError("the table is empty", hint="prepare() fills it.")
        return timing

    def _overheads(self) -> list[tuple[LayerShape, Timing]]:
        """What to add to the profiled times of a node, and of a run, to get what a run takes without the profiler.

        From whole runs less their profiled kernels, of a short and of a long chain. For a node it is negative where the
        profiler costs more than the way from node to node.
        """
        import numpy as np

        with pinned(self.context.threads):
            pairs = [
                (
                    open_session(chain(count), threads=self.context.threads, label="chain"),
                    open_session(chain(count), threads=self.context.threads, label="chain", profiled=True),
                )
                for count in _CHAINS
            ]
            walls: list[list[float]] = [[] for _ in pairs]
            for _ in range(self._rounds * 4):
                for (plain, profiled), wall in zip(pairs, walls, strict=True):
                    wall += quiet(turn(plain))
                    turn(profiled)
        rests, nodes = [], []
        for (_, profiled), wall in zip(pairs, walls, strict=True):
            kernels: dict[str, list[float]] = {}
            for name, _, seconds in profiled.node_events():
                kernels.setdefault(name, []).append(seconds)
            rests.append(float(np.median(wall)) - sum(typical(times) for times in kernels.values()))
            nodes.append(len(kernels))
        a_node = (rests[1] - rests[0]) / (nodes[1] - nodes[0])
        a_run = rests[0] - a_node * nodes[0]
        return [(shape, _single(value, len(walls[0]))) for shape, value in ((_NODE, a_node), (_RUN, a_run))]


def default_path() -> Path | None:
    """Where the table is kept: ``latency.sqlite`` in the cache's folder; None, in memory, without a home."""
    from picojoule.search.cache import cache_folder

    folder = cache_folder()
    return None if folder is None else folder / "latency.sqlite"


def channel_block() -> int:
    """How many channels the kernels of this runtime on this machine work on at once; 1 if it is no blocked layout.

    A layer of fewer costs as much as one of a whole block. The runtime itself tells: it pads weights to whole blocks.
    """
    import tempfile

    import onnx

    onnxruntime = import_onnxruntime()
    few = 17
    model = carrier([LayerShape("conv", Nest(K=few, C=3, P=4, Q=4))])
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "optimized.onnx"))
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(options.optimized_model_filepath)
    sizes = [w.dims[0] for w in optimized.graph.initializer if len(w.dims) == 4]
    return sizes[0] - few + 1 if sizes else 1


def typical(samples: Any) -> float:
    """The mean of the middle half of the samples: as steady as the median, and finer than the whole microseconds of a profile."""
    import numpy as np

    ordered = np.sort(samples)
    quarter = len(ordered) // 4
    return float(ordered[quarter : len(ordered) - quarter].mean())


def turn(session: TimedSession) -> list[Run]:
    """A turn of a network: runs until ``RUNS`` of them are warm and weren't interrupted, or ``TRIES`` times as many."""
    runs: list[Run] = []
    while sum(run.calm for run in runs) < RUNS and len(runs) < TRIES * RUNS:
        runs.append(session.run())
    return runs


def _timings(
    batch: Sequence[LayerShape], session: TimedSession, runs: Sequence[Run], node_s: float
) -> list[tuple[LayerShape, Timing]]:
    """What the profile of a carrier, of which ``runs`` were made, says about its layers; ``node_s`` is added for every node."""
    import numpy as np

    quiet_runs = quietest(runs)
    seen: dict[str, list[float]] = {}
    before_s = 0.0
    for name, op, profiled_s in session.node_events():
        # What brings the input of a layer into the layout that its kernel wants runs right before it, for it alone.
        seconds = before_s + max(profiled_s + node_s, 0.0)
        seen.setdefault(name, []).append(seconds)
        before_s = seconds if op.startswith("Reorder") else 0.0
    timings = []
    for place, shape in enumerate(batch):
        times = np.array(seen[node_name(place)])[quiet_runs]
        low, high = np.quantile(times, (0.25, 0.75))
        timing = Timing(seconds=typical(times), q1_s=float(low), q3_s=float(high), samples=times.size)
        timings.append((shape, timing))
    return timings


def _single(seconds: float, samples: int) -> Timing:
    return Timing(seconds=seconds, q1_s=seconds, q3_s=seconds, samples=samples)
