"""What was measured, and what can be, on the terminal."""

from __future__ import annotations

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.figures import NONE, Scale, percent, printable, shortened, size, time_scale
from picojoule.reporting.palette import ATTENTION
from picojoule.runtime.diagnosis import Diagnosis
from picojoule.runtime.measurement import Measurement, Side
from picojoule.units import significant

_JOULES = ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"))
_SHOWN = 12
_NAME = 40


def measurement_text(found: Measurement, *, width: int, color: bool) -> str:
    """A headline, the latency, the nodes that take longest, memory and energy.

    Args:
        found: the measurement.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    name = Text(printable(found.network.model), style="bold")
    threads = found.threads
    where = f"{threads.count} thread{'s' if threads.count > 1 else ''}" if threads else ""
    if threads:
        held = (
            f" on processor {', '.join(map(str, threads.cpus))}" if threads.cpus else f", not held ({threads.reason})"
        )
        where = f"{printable(found.runtime)} · {where}{held}"
    else:
        where = f"by {printable(found.runtime)}"
    lines = spread(name, Text(where, style="dim"), width)
    if found.machine:
        lines += [Text(f" {found.machine['name']}", style="dim")]
    lines += [*_latencies(found), Text()]
    sides = [side for side in (found.network, found.against) if side is not None]
    for side in sides:
        lines += _nodes(side, width) if side.nodes else []
    for side in sides:
        lines += _honest(side, width, named=len(sides) > 1)
    if found.ratio is not None:
        ratio = found.ratio
        verdict = (
            "no difference within the quartiles"
            if ratio.q1 <= 1 <= ratio.q3
            else "slower"
            if ratio.q1 > 1
            else "faster"
        )
        text = f"{printable(sides[-1].model)} takes {ratio.median:.3f}× the time ({ratio.q1:.3f} … {ratio.q3:.3f}, {ratio.samples} pairs): {verdict}"
        lines += wrapped("ratio", [Text(text)], width)
    return to_text(lines, color=color)


def _latencies(found: Measurement) -> list[Text]:
    sides = [side for side in (found.network, found.against) if side is not None and side.latencies_s]
    spreads = [side.latency_s for side in sides]
    scale = time_scale([each.median for each in spreads])
    cells = {
        f"median {scale.unit}": [each.median for each in spreads],
        "quartiles": [(each.q1, each.q3) for each in spreads],
        "least": [each.least for each in spreads],
        "most": [each.most for each in spreads],
    }
    columns = [column("", [(printable(shortened(side.model, _NAME)), "bold") for side in sides], right=False, gap=1)]
    for head, values in cells.items():
        columns.append(column(head, [(_cell(value, scale), "") for value in values]))
    columns.append(column("runs", [(str(each.samples), "") for each in spreads]))
    return rows(columns)


def _cell(value: float | tuple[float, float], scale: Scale) -> str:
    return " … ".join(scale.text(v) for v in value) if isinstance(value, tuple) else scale.text(value)


def _nodes(side: Side, width: int) -> list[Text]:
    ordered = sorted(side.nodes, key=lambda node: -node.seconds.median)
    shown, rest = ordered[:_SHOWN], ordered[_SHOWN:]
    scale = time_scale([node.seconds.median for node in shown])
    names = [(shortened(printable(node.name), _NAME), "bold") for node in shown]
    operators = [(printable(node.op), "") for node in shown]
    times = [(scale.text(node.seconds.median), "") for node in shown]
    quartiles = [(_cell((node.seconds.q1, node.seconds.q3), scale), "") for node in shown]
    shares = [(percent(node.share), "") for node in shown]
    if rest:
        names.append((f"… {len(rest)} more", "dim"))
        operators.append(("", ""))
        times.append((scale.text(sum(node.seconds.median for node in rest)), ""))
        quartiles.append(("", ""))
        shares.append((percent(sum(node.share for node in rest)), ""))
    columns = [
        column("node", names, right=False, gap=1),
        column("operator", operators, right=False, worth=2),
        column(f"median {scale.unit}", times),
        column("quartiles", quartiles, worth=1),
        column("share", shares),
    ]
    return [*rows(without_least(columns, width, 100)), Text()]


def _honest(side: Side, width: int, *, named: bool) -> list[Text]:
    lines = []
    if named:
        lines.append(Text(f" {printable(side.model)}", style="bold"))
    if side.interrupted:
        runs = len(side.latencies_s)
        text = f"other programs interrupted {side.interrupted} of {runs} runs"
        quiet = time_scale([side.quiet_s])
        text += (
            f"; the median of the others is {quiet.text(side.quiet_s)} {quiet.unit}" if side.interrupted < runs else ""
        )
        lines += wrapped("disturbed", [Text(text, style=ATTENTION)], width)
    if side.nodes:
        total = sum(node.seconds.median for node in side.nodes)
        scale = time_scale([total])
        lines += wrapped(
            "nodes",
            [
                Text(
                    f"{len(side.nodes)} together {scale.text(total)} {scale.unit} under the profiler, which adds about 2 µs to each"
                )
            ],
            width,
        )
    if side.peak_memory is not None:
        peak = side.peak_memory
        if peak.bytes is None:
            text = f"{NONE} {peak.reason}"
        else:
            text = (
                f"peak {size(8 * peak.bytes)} beyond the runtime's own, {size(8 * (peak.process_bytes or 0))} with it"
            )
        lines += wrapped("memory", [Text(text)], width)
    if side.energy is not None:
        lines += wrapped("energy", _energy(side), width)
    if side.table is not None:
        scale = time_scale([side.table.latency_s])
        off = (
            "every run was interrupted, so no error to tell"
            if side.table.error is None
            else f"{100 * side.table.error:+.1f} % of what was measured beside it"
        )
        parts = [Text(f"{scale.text(side.table.latency_s)} {scale.unit} from the look-up table: {off}")]
        parts += [Text(f"{side.table.measured_now} layer shapes measured for it")] if side.table.measured_now else []
        parts += (
            [
                Text(
                    f"without {', '.join(map(printable, side.table.left_out[:6]))}{' …' if len(side.table.left_out) > 6 else ''}"
                )
            ]
            if side.table.left_out
            else []
        )
        lines += wrapped("table", parts, width)
    return lines


def _energy(side: Side) -> list[Text]:
    energy = side.energy
    assert energy is not None
    if energy.joules is None:
        return [Text(f"{NONE} {printable(energy.reason)}")]
    scale = Scale([energy.joules], _JOULES, 4)
    parts = [Text(f"{scale.text(energy.joules)} {scale.unit} a run, by {printable(energy.counter)}")]
    if len(energy.windows_j) > 1:
        parts.append(
            Text(
                f"{scale.text(min(energy.windows_j))} … {scale.text(max(energy.windows_j))} over {len(energy.windows_j)} readings"
            )
        )
    if energy.domains_j:
        parts.append(Text(f"all of {', '.join(energy.domains_j)}, idling and other programs included"))
    if energy.idle_w is not None:
        parts.append(Text(f"{significant(energy.idle_w, 3)} W before it ran"))
    return parts


def diagnosis_text(found: Diagnosis, *, width: int, color: bool) -> str:
    """The machine, what can be measured, and what is installed."""
    lines = spread(
        Text(f"picojoule {found.picojoule}", style="bold"),
        Text(f"Python {found.python} · {found.system}", style="dim"),
        width,
    )
    lines += [Text(f" {printable(found.machine)}", style="dim"), Text()]
    for check in found.checks:
        mark = "yes" if check.ok else "no "
        lines += wrapped(
            check.name,
            [Text.assemble((mark, "" if check.ok else ATTENTION), f" {printable(check.message)}")],
            width,
            joint=" ",
        )
    lines.append(Text())
    groups = {"core": found.packages, **{f"[{extra}]": packages for extra, packages in found.extras.items()}}
    for name, packages in groups.items():
        parts = [
            Text(f"{package} {version or 'not installed'}", style="" if version else ATTENTION)
            for package, version in packages.items()
        ]
        lines += wrapped(name, parts, width)
    return to_text(lines, color=color)
