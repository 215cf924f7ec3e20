"""What a bundle answered: on the terminal, as CSV and as data."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.figures import energy_scale, grouped, percent, printable, shortened, time_scale
from picojoule.reporting.palette import ATTENTION, GOOD
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.runtime.drift import Drift
    from picojoule.runtime.session_run import Run

RUN_SCHEMA = "picojoule/run/1"
SHOWN = 20
QUANTILES = (0.5, 0.9, 0.99)
_BAR = 24


def run_text(run: Run, *, width: int, color: bool) -> str:
    """The first samples with their classes, how long batches took, and where samples left.

    Args:
        run: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    manifest = run.manifest
    stages = len(manifest.stages)
    about = [f"{stages} stage{'s' * (stages != 1)}", run.runtime]
    about.append("threads as it chose" if run.threads is None else f"{run.threads} thread{'s' * (run.threads != 1)}")
    samples = f"{grouped(len(run.names))} sample{'s' * (len(run.names) != 1)}"
    lines = spread(Text.assemble((printable(manifest.name), "bold"), f" · {samples}"), Text(" · ".join(about)), width)
    if run.classes is not None:
        lines += [*_samples(run, width), Text()]
    lines += wrapped("latency", [Text(part) for part in _latency_parts(run)], width)
    lines += _histogram(run)
    if len(manifest.exits) > 1:
        shares = [Text(f"{number}: {percent(share)}") for number, share in enumerate(run.shares)]
        rule = run.policy or "none: no threshold stated or given"
        lines += wrapped("exits", [*shares, Text(f"rule: {rule}")], width)
    if run.energy_pj is not None:
        mean = float(run.energy_pj.mean())
        scale = energy_scale([mean], "pJ", 4)
        lines += wrapped(
            "energy", [Text(f"{scale.text(mean)} {scale.unit} in the mean, as the bundle's stages say")], width
        )
    if run.point is not None:
        lines += wrapped("point", [Text(part) for part in _point_parts(run)], width)
    if run.drift is not None:
        lines += wrapped("drift", [Text(part, style=ATTENTION) for part in _drift_parts(run.drift)], width)
    if run.accuracy is not None:
        assert run.labels is not None
        text = f"{100 * run.accuracy:.2f} % of {grouped(len(run.labels))} labels"
        lines += wrapped("accuracy", [Text(text, style=GOOD)], width)
    if run.not_numbers:
        count = run.not_numbers
        said = "1 answer is no number" if count == 1 else f"{grouped(count)} answers are no numbers"
        text = f"{said} (NaN): the network overflowed, or was fed NaN"
        lines += wrapped("beware", [Text(text, style=ATTENTION)], width)
    if run.interrupted:
        lines += wrapped("stopped", [Text("interrupted: these are the samples that were run", style=ATTENTION)], width)
    return to_text(lines, color=color)


def _point_parts(run: Run) -> list[str]:
    point = run.point
    assert point is not None
    scale = energy_scale([point.energy_j * 1e12], "pJ", 4)
    parts = [f"for {run.wish}" if run.wish else "the bundle's own: nothing was asked for"]
    parts.append(f"expected accuracy {point.accuracy:.4f}")
    if point.at_least is not None:
        parts.append(f"at least {point.at_least:.4f} guaranteed")
    parts.append(f"expected {scale.text(point.energy_j * 1e12)} {scale.unit}")
    return [*parts, "expected to leave " + ", ".join(f"{e}: {percent(rate)}" for e, rate in enumerate(point.rates))]


def _drift_parts(drift: Drift) -> list[str]:
    return [
        str(drift),
        f"in a window of {grouped(drift.window)} samples without change a false alarm has a chance of {drift.false_alarm:g}"
        " at most",
    ]


def _samples(run: Run, width: int) -> list[Text]:
    assert run.classes is not None and run.probabilities is not None
    shown = min(SHOWN, len(run.names))
    columns = [
        column("input", [(shortened(printable(name), 40), "") for name in run.names[:shown]], right=False, gap=1)
    ]
    if len(run.manifest.exits) > 1:
        columns.append(column("exit", [(str(number), "") for number in run.exits[:shown]], worth=90))
    for rank in range(run.classes.shape[1]):
        cells = [
            (f"{shortened(_label(run, c[rank]), 28)} {p[rank]:.3f}", "bold" if rank == 0 else "")
            for c, p in zip(run.classes[:shown], run.probabilities[:shown], strict=True)
        ]
        columns.append(column(f"top {rank + 1}", cells, right=False, worth=100 - rank if rank == 0 else 50 - rank))
    lines = rows(without_least(columns, width, 80))
    if len(run.names) > shown:
        lines.append(Text(f" … {grouped(len(run.names) - shown)} more: --format csv or json has all", style="dim"))
    return lines


def _label(run: Run, number: int) -> str:
    labels = run.manifest.labels
    return str(number) if labels is None else printable(labels[number])


def _latency_parts(run: Run) -> list[str]:
    latency = run.latency
    found = [latency.quantile_s(share) for share in QUANTILES]
    scale = time_scale([found[0]])
    named = zip(("median", "90 %", "99 %"), found, strict=True)
    parts = [f"{name} {scale.text(value)} {scale.unit}" for name, value in named]
    parts.append(f"longest {scale.text(latency.most_s)} {scale.unit}")
    rate = len(run.names) / latency.total_s
    batches = f"{grouped(latency.count)} batch{'es' * (latency.count != 1)} of {run.batch}"
    return [*parts, batches, f"{significant(rate, 3)} samples/s, without reading and preparing"]


def _histogram(run: Run) -> list[Text]:
    """A bar for each quarter of an octave between the fastest batch and the slowest; where they are many, fewer."""
    bins = run.latency.octaves(4)
    while len(bins) > 10:
        pairs = [bins[i : i + 2] for i in range(0, len(bins), 2)]
        bins = [(pair[0][0], pair[-1][1], sum(count for _, _, count in pair)) for pair in pairs]
    if not bins:
        return []
    scale = time_scale([bins[-1][0]])
    most = max(count for _, _, count in bins)
    edges = [f"{scale.text(low)} – {scale.text(high)} {scale.unit}" for low, high, _ in bins]
    columns = [
        column("", [(edge, "") for edge in edges], gap=12),
        column("", [("█" * max(round(_BAR * count / most), count > 0), "") for _, _, count in bins], right=False),
        column("", [(grouped(count), "") for _, _, count in bins]),
    ]
    return rows(columns)[1:]


def run_data(run: Run) -> dict[str, Any]:
    """All about a run as plain data."""
    latency = run.latency
    return {
        "schema": RUN_SCHEMA,
        "bundle": run.path,
        "name": run.manifest.name,
        "runtime": run.runtime,
        "threads": run.threads,
        "batch": run.batch,
        "policy": run.policy,
        "interrupted": run.interrupted,
        "point": None if run.point is None else {"wish": run.wish or None, **asdict(run.point), "rates": run.point.rates},
        "drift": None if run.drift is None else asdict(run.drift),
        "latency": {
            "batches": latency.count,
            "mean_s": latency.mean_s,
            "median_s": latency.quantile_s(0.5),
            "p90_s": latency.quantile_s(0.9),
            "p99_s": latency.quantile_s(0.99),
            "least_s": latency.least_s,
            "most_s": latency.most_s,
            "histogram": [{"from_s": a, "to_s": b, "batches": count} for a, b, count in latency.octaves(16)],
        },
        "wall_s": run.wall_s,
        "samples_per_s": len(run.names) / latency.total_s,
        "exits": run.shares,
        "energy_pj": None if run.energy_pj is None else float(run.energy_pj.mean()),
        "accuracy": run.accuracy,
        "not_numbers": run.not_numbers,
        "samples": [_sample_data(run, number) for number in range(len(run.names))],
    }


def _sample_data(run: Run, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"input": run.names[number], "exit": int(run.exits[number])}
    if run.classes is not None and run.probabilities is not None:
        found["top"] = [
            {
                "class": int(c),
                "label": None if run.manifest.labels is None else run.manifest.labels[c],
                "probability": _number(p),
            }
            for c, p in zip(run.classes[number], run.probabilities[number], strict=True)
        ]
    if run.labels is not None:
        found["right"] = int(run.labels[number])
    if run.energy_pj is not None:
        found["energy_pj"] = float(run.energy_pj[number])
    return found


def _number(value: Any) -> float | None:
    """A number that JSON can say; null for one that is none."""
    found = float(value)
    return found if found == found else None


def run_csv(run: Run) -> str:
    """A row for each sample and class shown, in full precision; of networks that don't classify one for each sample."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("input", "exit", "rank", "class", "label", "probability", "energy_pj"))
    for number, name in enumerate(run.names):
        exit_, energy = int(run.exits[number]), "" if run.energy_pj is None else float(run.energy_pj[number])
        if run.classes is None or run.probabilities is None:
            writer.writerow((name, exit_, "", "", "", "", energy))
            continue
        for rank, (c, p) in enumerate(zip(run.classes[number], run.probabilities[number], strict=True), start=1):
            label = "" if run.manifest.labels is None else run.manifest.labels[c]
            writer.writerow((name, exit_, rank, int(c), label, float(p), energy))
    return stream.getvalue()
