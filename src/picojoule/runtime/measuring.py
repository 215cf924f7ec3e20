"""``measure``: what a network takes on this machine, or on another that a command reaches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from picojoule.errors import PicojouleError, UsageError
from picojoule.runtime.command_runner import TIMEOUT_S, CommandRunner, Reading
from picojoule.runtime.energy import Counter, Energy, measured_energy
from picojoule.runtime.machine import machine_data
from picojoule.runtime.measurement import Measurement, NodeTime, Side, TableCheck, spread
from picojoule.runtime.node_names import own_names
from picojoule.runtime.onnx_source import onnx_file
from picojoule.runtime.peak_memory import peak_memory
from picojoule.runtime.threads import pinned
from picojoule.runtime.timed_session import Run, TimedSession, import_onnxruntime, open_session, profiles_ended, quiet

RUNS, WARMUP, CALLS = 100, 10, 5
"""Runs of a network here, those before that don't count, and calls of a runner."""

Progress = Callable[[int, int], None]


def measure(
    model: Any,
    example_input: Any = None,
    *,
    against: Any = None,
    runs: int | None = None,
    warmup: int = WARMUP,
    threads: int = 1,
    batch: int | None = None,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    table: bool | os.PathLike[str] = False,
    runner: str | None = None,
    timeout: float = TIMEOUT_S,
    seed: int = 0,
    counter: Counter | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measures latency, by node too, peak memory and energy of a network.

    Args:
        model: an ONNX file, ``package.module:factory``, or an ``nn.Module``, which is exported to ONNX.
        example_input: what an ``nn.Module`` is called with.
        against: another model on the same inputs; the two run in turn, so that both see the machine in the same state.
        runs: that count; 100, or 5 calls of a runner, if not given.
        warmup: runs before, which don't count; not through a runner.
        threads: that work on one operator, held together on as many processors.
        batch: of inputs that leave it open; 1 if not given.
        shape: sizes of inputs that the model leaves open, by name.
        table: also foretell the latency by the look-up table of layers, and say how far off it is: True for the one in
            the cache, or the path of its file.
        runner: a command that measures an ONNX file on another device: ``ssh board ./bench {onnx}``.
        timeout: seconds that a call of the runner may take.
        seed: of the inputs.
        counter: another meter than this machine's own; see ``energy.Counter``.
        progress: called with the runs done and those there are.

    Returns:
        The measurement. After Ctrl-C or a failure of the runner it holds what was measured before, if there is any, and
        ``failed`` says why it ended.

    Raises:
        UnknownNameError: there is no such file.
        UsageError: a model that isn't ONNX and can't become it, or sizes that don't fit.
        ModelError: ONNX Runtime can't load or run it.
        InputError, SystemFailure: the runner failed at its first call.
        MissingExtraError: onnxruntime or PyTorch is not installed.
    """
    if runs is not None and runs < 1 or warmup < 0:
        raise UsageError(f"{runs} runs after {warmup}", where="--runs", hint="1 or more, after 0 or more.")
    runs = runs or (CALLS if runner else RUNS)
    with ExitStack() as stack:
        files = [
            (stack.enter_context(onnx_file(one, example_input, shape)), _called(one))
            for one in (model, against)
            if one is not None
        ]
        if runner is not None:
            if table or batch is not None or shape or counter is not None:
                raise UsageError(
                    "a runner measures the file as it is",
                    where="--runner",
                    hint="Leave out --table, --batch, --shape; the command itself may take what it needs.",
                )
            return _through(CommandRunner(runner, timeout_s=timeout), files, runs, progress)
        return _here(
            files, runs=runs, warmup=warmup, threads=threads, batch=batch, shape=shape, table=table, seed=seed,
            counter=counter, progress=progress,
        )  # fmt: skip


def _here(
    files: list[tuple[Path, str]], *, runs: int, warmup: int, threads: int, batch: int | None,
    shape: Mapping[str, tuple[int, ...]] | None, table: bool | os.PathLike[str], seed: int, counter: Counter | None,
    progress: Progress | None,
) -> Measurement:  # fmt: skip
    runtime = f"onnxruntime {import_onnxruntime().__version__}"
    machine = machine_data()
    with pinned(threads) as held:

        def opened(profiled: bool) -> list[TimedSession]:
            return [
                open_session(file, threads=threads, shape=shape, batch=batch, seed=seed, profiled=profiled, label=label)
                for file, label in files
            ]

        sessions = opened(False)
        for session in sessions:
            for _ in range(warmup):
                session.run()
        seen, failed = _in_turn([session.run for session in sessions], runs, progress)
        found = Measurement(
            network=_side(files[0][1], seen[0], threads),
            against=_side(files[1][1], seen[1], threads) if len(files) > 1 else None,
            ratio=_ratio(_calm(seen, threads)),
            machine=machine, runtime=runtime, threads=held, batch=batch, warmup=warmup, seed=seed, failed=failed,
        )  # fmt: skip
        if failed is not None:
            return found
        sides = [side for side in (found.network, found.against) if side is not None]
        try:
            profiled = opened(True)
            with profiles_ended(profiled):
                sides = _with_nodes(sides, files, profiled, runs=min(runs, 30), warmup=min(warmup, 3) or 1)
            sides = _with_energy(sides, sessions, counter)
            sides = [
                replace(side, peak_memory=peak_memory(file, threads=threads, shape=shape, batch=batch))
                for side, (file, _) in zip(sides, files, strict=True)
            ]
            if table:
                sides = [
                    replace(side, table=_by_table(side, session, file, table, threads, batch, shape))
                    for side, session, (file, _) in zip(sides, sessions, files, strict=True)
                ]
        except KeyboardInterrupt:
            failed = _INTERRUPTED
    return replace(found, network=sides[0], against=sides[1] if len(sides) > 1 else None, failed=failed)


def _through(
    runner: CommandRunner, files: list[tuple[Path, str]], calls: int, progress: Progress | None
) -> Measurement:
    seen, failed = _in_turn([lambda file=file: runner.read(file) for file, _ in files], calls, progress)
    sides = [
        Side(
            model=label, latencies_s=tuple(reading.seconds for reading in each), energy=_energy_of(each, runner.command)
        )
        for (_, label), each in zip(files, seen, strict=True)
    ]
    return Measurement(
        network=sides[0],
        against=sides[1] if len(sides) > 1 else None,
        ratio=_ratio([[reading.seconds for reading in each] for each in seen]),
        runtime=runner.command,
        failed=failed,
    )


_INTERRUPTED = {"code": "interrupted", "where": "", "message": "interrupted", "hint": ""}


def _in_turn(
    calls: list[Callable[[], Any]], rounds: int, progress: Progress | None
) -> tuple[list[list[Any]], dict[str, str] | None]:
    """Makes every call once a round, the first to come changing from round to round; what came, and what ended it early.

    Raises:
        PicojouleError, KeyboardInterrupt: before there is anything to keep.
    """
    seen: list[list[Any]] = [[] for _ in calls]
    for number in range(rounds):
        order = range(len(calls)) if number % 2 == 0 else reversed(range(len(calls)))
        try:
            for place in order:
                seen[place].append(calls[place]())
        except (PicojouleError, KeyboardInterrupt) as problem:
            if not any(seen):
                raise
            failed = problem.to_dict() if isinstance(problem, PicojouleError) else dict(_INTERRUPTED)
            return seen, {**failed, "exit_code": str(getattr(problem, "exit_code", 130))}
        if progress is not None:
            progress(number + 1, rounds)
    return seen, None


def _side(label: str, runs: list[Run], threads: int) -> Side:
    sure = threads == 1 and bool(runs)
    return Side(
        model=label,
        latencies_s=tuple(run.seconds for run in runs),
        interrupted=sum(run.interrupted for run in runs) if sure else None,
        quiet_s=spread(quiet(runs)).median if sure and not all(run.interrupted for run in runs) else None,
    )


def _calm(seen: list[list[Run]], threads: int) -> list[list[float]]:
    """Seconds of the pairs of runs during which nothing else ran, if that can be told and there are any; else of all."""
    pairs = list(zip(*seen, strict=False))
    calm = [pair for pair in pairs if not any(run.interrupted for run in pair)] if threads == 1 else []
    return [[pair[place].seconds for pair in calm or pairs] for place in range(len(seen))]


def _ratio(latencies: list[list[float]]) -> Any:
    if len(latencies) < 2:
        return None
    ratios = [other / one for one, other in zip(*latencies, strict=False)]
    return spread(ratios) if ratios else None


def _with_nodes(
    sides: list[Side], files: list[tuple[Path, str]], sessions: list[TimedSession], *, runs: int, warmup: int
) -> list[Side]:
    """The sides with the times of their nodes, from runs under the runtime's profiler."""
    found = []
    for side, (file, _), session in zip(sides, files, sessions, strict=True):
        for _ in range(warmup + runs):
            session.run()
        samples: dict[tuple[str, str], list[float]] = {}
        for name, op, seconds in session.node_events():
            samples.setdefault((name, op), []).append(seconds)
        # A node inside a loop runs more than once a run: its times of one run belong together.
        spreads = {
            key: spread([sum(part) for part in _parts(times, warmup + runs)][warmup:])
            for key, times in samples.items()
            if len(times) % (warmup + runs) == 0
        }
        total = sum(each.median for each in spreads.values()) or 1.0
        names = own_names(file, spreads)
        nodes = tuple(
            NodeTime(name=names[key], op=key[1], seconds=each, share=each.median / total)
            for key, each in spreads.items()
        )
        found.append(replace(side, nodes=nodes))
    return found


def _parts(times: list[float], count: int) -> Iterator[list[float]]:
    size = len(times) // count
    return (times[start : start + size] for start in range(0, len(times), size))


def _with_energy(sides: list[Side], sessions: list[TimedSession], counter: Counter | None) -> list[Side]:
    reason = ""
    if counter is None:
        from picojoule.runtime.zeus_counter import open_counter

        counter, reason = open_counter()
    return [
        replace(
            side,
            energy=Energy(joules=None, reason=reason) if counter is None else measured_energy(session.run, counter),
        )
        for side, session in zip(sides, sessions, strict=True)
    ]


def _energy_of(readings: list[Reading], command: str) -> Energy:
    joules = [reading.joules for reading in readings if reading.joules is not None]
    if not readings or len(joules) < len(readings):
        reason = f'{len(joules)} of {len(readings)} calls of the runner gave "joules"' if joules else 'the runner gave no "joules"'
        return Energy(joules=None, reason=reason, counter=command, windows_j=tuple(joules), runs=len(joules))
    return Energy(joules=spread(joules).median, counter=command, windows_j=tuple(joules), runs=len(joules))


def _by_table(
    side: Side, session: TimedSession, file: Path, table: bool | os.PathLike[str], threads: int, batch: int | None,
    shape: Mapping[str, tuple[int, ...]] | None,
) -> TableCheck:  # fmt: skip
    from picojoule.frontends import load_model
    from picojoule.runtime.latency_table import LatencyTable, default_path, turn

    network = load_model(file, shape=_closed(file, shape, batch))
    kept = LatencyTable(default_path() if table is True else Path(table), threads=threads)
    at_the_time: list[Run] = []
    now = kept.prepare([network], meanwhile=lambda: at_the_time.extend(turn(session)))
    foretold = kept.predict(network)
    # What was measured side by side saw the machine in the same state.
    calm = quiet(at_the_time) if threads > 1 or not all(run.interrupted for run in at_the_time) else []
    measured_s = spread(calm).median if calm else side.quiet_s if threads == 1 else side.latency_s.median
    return TableCheck(
        latency_s=foretold.latency_s,
        measured_s=measured_s,
        error=None if measured_s is None else foretold.latency_s / measured_s - 1,
        left_out=foretold.left_out,
        measured_now=now,
    )


def _closed(
    file: Path, shape: Mapping[str, tuple[int, ...]] | None, batch: int | None
) -> dict[str, tuple[int, ...]] | None:
    """The sizes of inputs that the file leaves open, as the session was run on them."""
    import onnx

    inputs = onnx.load(file, load_external_data=False).graph.input
    open_batch = {
        entry.name: tuple(
            d.dim_value if d.HasField("dim_value") else batch or 1 for d in entry.type.tensor_type.shape.dim
        )
        for entry in inputs
        if any(not d.HasField("dim_value") for d in entry.type.tensor_type.shape.dim)
    }
    return {**open_batch, **(shape or {})} or None


def _called(model: Any) -> str:
    return os.fspath(model) if isinstance(model, str | os.PathLike) else type(model).__name__
