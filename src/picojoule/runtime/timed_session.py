"""A network in ONNX Runtime with inputs to run it on, ready to be timed."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from picojoule.errors import MissingExtraError, ModelError, SystemFailure, UsageError

PROVIDER = "CPUExecutionProvider"
_FEW = 5
"""Runs that it takes to tell how long one lasts."""
_PAUSE_S = 0.2e-3
"""Between two runs of a network; longer, and something else has had the processor."""
_WAITED_S, _WAITED_SHARE = 10e-6, 0.02
_KERNEL = "_kernel_time"
BLOCKED = "_nchwc"
"""What the runtime appends to the name of a node whose kernel works on blocks of channels."""
_FLOATS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
_WHOLE = {f"tensor({n})": n for n in ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")}


def import_onnxruntime() -> Any:
    """The package onnxruntime.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError(
            "running a network needs onnxruntime", hint="pip install 'picojoule[runtime]'"
        ) from None
    return onnxruntime


class Run(NamedTuple):
    """One run of a network.

    Attributes:
        seconds: on the wall.
        own_s: for which this thread had a processor.
        warm: it followed right after a run of the same network that nothing interrupted, so that the caches hold what that
            one left and not what another program did.
    """

    seconds: float
    own_s: float
    warm: bool = True

    @property
    def interrupted(self) -> bool:
        """Whether other programs had the processor in between. A thread that waits for others of its own spins at first,
        so that this is sure with one thread only."""
        return self.seconds - self.own_s > _WAITED_S + _WAITED_SHARE * self.seconds

    @property
    def calm(self) -> bool:
        """Whether it was warm and not interrupted."""
        return self.warm and not self.interrupted


def quietest(runs: Sequence[Run]) -> list[int]:
    """Places of the warm runs that weren't interrupted; of cold ones, too, if few were warm; of all if most were interrupted."""
    few = min(_FEW, len(runs))
    calm = [place for place, run in enumerate(runs) if run.calm]
    cold = [place for place, run in enumerate(runs) if not run.interrupted]
    return next((places for places in (calm, cold) if len(places) >= few), list(range(len(runs))))


def quiet(runs: Sequence[Run]) -> list[float]:
    """Seconds of the runs that `quietest` chooses."""
    return [runs[place].seconds for place in quietest(runs)]


@dataclass(slots=True)
class TimedSession:
    """A session and what it is run on.

    Attributes:
        session: of ONNX Runtime.
        feeds: an array for each input.
        label: how messages name the model.
        profiling: whether the runtime still notes the times of nodes.
    """

    session: Any
    feeds: dict[str, Any]
    label: str
    profiling: bool = False
    _ended_s: float = -math.inf
    """When the last run ended, if nothing interrupted it."""

    def run(self) -> Run:
        """Runs the network once.

        Raises:
            ModelError: ONNX Runtime can't run it.
        """
        warm = time.perf_counter() - self._ended_s < _PAUSE_S
        own, began = time.thread_time(), time.perf_counter()
        try:
            self.session.run(None, self.feeds)
        except Exception as problem:  # the C++ side raises types of its own
            raise ModelError(f"onnxruntime can't run it: {first_line(problem)}", where=self.label) from problem
        ended = time.perf_counter()
        run = Run(ended - began, time.thread_time() - own, warm)
        self._ended_s = -math.inf if run.interrupted else ended
        return run

    def node_events(self) -> list[tuple[str, str, float]]:
        """Ends profiling: name, operator and kernel seconds of every node that ran, in order; names are the model's own.

        The profiler counts whole microseconds and cuts off the rest, of which half a microsecond is the mean.
        """
        self.profiling = False
        path = self.session.end_profiling()
        try:
            with open(path, encoding="utf-8") as file:
                events = json.load(file)
        except (OSError, ValueError) as problem:
            raise SystemFailure(f"ONNX Runtime left no profile: {problem}", where=str(path)) from problem
        finally:
            Path(path).unlink(missing_ok=True)
        return [
            (
                event["name"].removesuffix(_KERNEL).removesuffix(BLOCKED),
                event["args"].get("op_name", ""),
                (event["dur"] + 0.5) * 1e-6,
            )
            for event in events
            if event.get("cat") == "Node" and event["name"].endswith(_KERNEL)
        ]


@contextmanager
def profiles_ended(sessions: Sequence[TimedSession]) -> Iterator[None]:
    """Leaves no profile behind of sessions that weren't asked for theirs."""
    try:
        yield
    finally:
        for session in sessions:
            if session.profiling:
                session.profiling = False
                Path(session.session.end_profiling()).unlink(missing_ok=True)


def open_session(
    model: Path | bytes,
    *,
    threads: int,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    batch: int | None = None,
    seed: int = 0,
    profiled: bool = False,
    label: str = "",
) -> TimedSession:
    """A session for ``model`` on the CPU, with all of the runtime's optimizations, and inputs drawn at random.

    Args:
        model: an ONNX file, or what would stand in one.
        threads: that work on one operator.
        shape: sizes of inputs by name, for those that the model leaves open.
        batch: the first size of every input that leaves it open; 1 if not given.
        seed: of the inputs: normal for floating point, 0 and 1 for whole numbers.
        profiled: note the time of every node.
        label: how messages name the model.

    Raises:
        ModelError: ONNX Runtime can't load it, or an input is no tensor of numbers.
        UsageError: sizes that are open, or don't fit.
        MissingExtraError: onnxruntime isn't installed.
    """
    onnxruntime = import_onnxruntime()
    label = label or str(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    if profiled:
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(tempfile.gettempdir(), f"picojoule-{os.getpid()}-{time.time_ns()}")
    source = str(model) if isinstance(model, Path) else model
    try:
        session = onnxruntime.InferenceSession(source, options, providers=[PROVIDER])
    except Exception as problem:  # the C++ side raises types of its own
        raise ModelError(f"onnxruntime can't load it: {first_line(problem)}", where=label) from problem
    unknown = sorted(set(shape or {}) - {entry.name for entry in session.get_inputs()})
    if unknown:
        names = ", ".join(entry.name for entry in session.get_inputs())
        raise UsageError(f"{label} has no input {unknown[0]!r}", where="--shape", hint=f"Its inputs: {names}.")
    feeds = {
        entry.name: _array(entry, (shape or {}).get(entry.name), batch, seed + place, label)
        for place, entry in enumerate(session.get_inputs())
    }
    return TimedSession(session, feeds, label, profiled)


def first_line(problem: BaseException) -> str:
    """What an exception says, in one line of bearable length."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]


def _array(entry: Any, given: tuple[int, ...] | None, batch: int | None, seed: int, label: str) -> Any:
    import numpy as np

    sizes = _sizes(entry, given, batch, label)
    rng = np.random.default_rng(seed)
    if entry.type in _FLOATS:
        return rng.standard_normal(sizes).astype(_FLOATS[entry.type])
    if entry.type in _WHOLE:
        return rng.integers(0, 2, sizes).astype(_WHOLE[entry.type])
    raise ModelError(f"input {entry.name!r} is a {entry.type}; only tensors of numbers can be drawn", where=label)


def _sizes(entry: Any, given: tuple[int, ...] | None, batch: int | None, label: str) -> tuple[int, ...]:
    stated = [size if isinstance(size, int) and size > 0 else None for size in entry.shape]
    wanted: list[int | None] = list(given) if given is not None else list(stated)
    if len(wanted) != len(stated) or any(s is not None and s != w for s, w in zip(stated, wanted, strict=False)):
        shown = "x".join(map(str, given or ()))
        raise UsageError(f"{label}: input {entry.name!r} is {entry.shape}, not {shown}", where="--shape")
    if wanted and wanted[0] is None:
        wanted[0] = batch or 1
    elif wanted and batch is not None and wanted[0] != batch:
        raise UsageError(
            f"{label}: input {entry.name!r} has a batch of {wanted[0]} in the file",
            where="--batch",
            hint="Export the model with an open batch dimension.",
        )
    if None in wanted:
        raise UsageError(
            f"{label}: input {entry.name!r} leaves sizes open: {entry.shape}",
            hint=f"Give them: --shape {entry.name}=1x3x224x224.",
        )
    return tuple(size for size in wanted if size is not None)
