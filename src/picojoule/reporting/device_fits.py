"""A table that was fitted to microbenchmarks, on the terminal."""

from __future__ import annotations

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, wrapped
from picojoule.reporting.figures import NONE, printable, time_scale
from picojoule.runtime.device_fit import Deviation, DeviceFit
from picojoule.units import significant


def device_fit_text(found: DeviceFit, *, width: int, color: bool) -> str:
    """The constants, how well they fit, and how far off they are on networks.

    Args:
        found: the fit.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    table = found.table
    launch = time_scale([table.launch_s])
    lines = spread(
        Text(printable(table.name), style="bold"),
        Text(f"fitted to {found.seconds.count} microbenchmarks", style="dim"),
        width,
    )
    kinds = sorted(table.arithmetic.items())
    lines += rows(
        [
            column("type", [(name, "bold") for name, _ in kinds], right=False, gap=1),
            column("TMAC/s", [(significant(1e-12 * kind.macs_per_s), "") for _, kind in kinds]),
            column("half of it at outputs", [(significant(kind.half_outputs), "") for _, kind in kinds]),
            column("and at depth", [(significant(kind.half_depth), "") for _, kind in kinds]),
            column("pJ/MAC", [(_known(kind.pj_per_mac), "") for _, kind in kinds]),
        ]
    )
    lines.append(Text())
    lines += wrapped("launch", [Text(f"{launch.text(table.launch_s)} {launch.unit}")], width)
    memory = [Text(f"{significant(1e-9 * table.bytes_per_s)} GB/s")]
    memory += [Text(f"{significant(table.pj_per_byte)} pJ a byte")] if table.pj_per_byte is not None else []
    lines += wrapped("memory", memory, width)
    energy = (
        f"{significant(table.static_w)} W while it runs, whatever it does"
        if table.static_w is not None
        else f"{NONE} the file has no joules"
    )
    lines += wrapped("energy", [Text(energy)], width)
    lines += wrapped(
        "fit",
        [Text(f"latency {_deviation(found.seconds)}")]
        + ([Text(f"energy {_deviation(found.joules)}")] if found.joules else []),
        width,
    )
    lines.append(Text())
    if not found.networks:
        lines += wrapped("test", [Text("no networks in the file: nobody knows how far off the table is on one")], width)
        return to_text(lines, color=color)
    times = time_scale([one.seconds for one in found.networks])
    lines += rows(
        [
            column(
                "network, not fitted to", [(printable(one.model), "bold") for one in found.networks], right=False, gap=1
            ),
            column("type", [(one.dtype, "") for one in found.networks], right=False),
            column("batch", [(str(one.batch), "") for one in found.networks]),
            column(f"measured {times.unit}", [(times.text(one.seconds), "") for one in found.networks]),
            column("latency off", [(_signed(one.seconds_error), "") for one in found.networks]),
            column("energy off", [(_signed(one.joules_error), "") for one in found.networks]),
        ]
    )
    return to_text(lines, color=color)


def _known(value: float | None) -> str:
    return NONE if value is None else significant(value)


def _signed(error: float | None) -> str:
    return NONE if error is None else f"{100 * error:+.1f} %"


def _deviation(found: Deviation) -> str:
    return f"off by {100 * found.median:.1f} % in the median, {100 * found.worst:.0f} % at worst"
