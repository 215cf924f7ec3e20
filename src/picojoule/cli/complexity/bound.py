"""``picojoule complexity bound``: lower and upper bounds of every layer for one buffer, or of a network over several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picojoule.cli.complexity.journalled import journalled
from picojoule.cli.estimate import followed, shape_option, shapes_of
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, Parsed, output_options, progress_option
from picojoule.cli.options import time_limit as parse_time_limit
from picojoule.cli.streams import check_output
from picojoule.errors import UsageError
from picojoule.units import parse_size_bits

if TYPE_CHECKING:
    from picojoule.search import Exact
    from picojoule.workload.network import Network


LARGEST_BITS = 8 * 2**40
"""1 TB: more than any buffer has, and small enough to reckon with."""


def _size_bits(text: str) -> int:
    bits = parse_size_bits(text.strip())
    if bits < 1:
        raise UsageError(f"{text.strip()!r} is not a size above 0", hint="Write one such as 64kB.")
    if bits > LARGEST_BITS:
        raise UsageError(f"{text.strip()!r} is not a size up to 1 TB", hint="Write one such as 64kB.")
    if bits % 8 and not text.strip().endswith(("b", "bit", "bits")):
        raise UsageError(f"{text.strip()!r} is not a whole number of bytes", hint="Write whole bytes, or bits: 12 bit.")
    return bits


def parse_buffers(text: str) -> int | tuple[int, ...]:
    """Bits of one buffer, or of all from the first to the last of a range, each twice the one before."""
    if ".." not in text:
        return _size_bits(text)
    first, _, last = text.partition("..")
    if not (first.strip() and last.strip()):
        raise UsageError(f"{text!r} is not a range of sizes", hint="Write both ends: 64B..4MB.")
    least, most = _size_bits(first), _size_bits(last)
    if not least < most:
        raise UsageError(f"{text!r} is not a range that rises", hint="Write the smaller buffer first: 64B..4MB.")
    sizes = [least]
    while sizes[-1] * 2 <= most:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes)


@click.command("bound", short_help="Lower and upper bounds of every layer for one buffer, or over a range.")
@click.argument("model")
@click.option(
    "--buffer",
    metavar="SIZE|RANGE",
    type=Parsed("SIZE|RANGE", parse_buffers),
    required=True,
    help="Size of the buffer: 64kB, 512 bit; 1 kB is 1024 bytes. 64B..4MB: all of these, each twice the one before.",
)
@click.option(
    "--bits",
    metavar="N",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Bits of every number, partial sums too.",
)
@click.option(
    "--batch", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Inputs processed together."
)
@click.option(
    "--factors",
    type=click.Choice(["any", "exact"]),
    default="any",
    show_default=True,
    help="exact: every tile divides its dimension; a smaller space, searched in a fraction of the time.",
)
@click.option(
    "--time-limit",
    type=Parsed("TIME", parse_time_limit),
    default="10s",
    show_default=True,
    help="Stop a layer's search after this; none for never.",
)
@shape_option
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "--journal",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With a range: keep every optimum there as it is found; the same command goes on from it.",
)
@click.option(
    "--charts",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="With a range: write a chart over the buffer there, as an SVG file.",
)
@progress_option
@output_options("table", "json", "csv", "md")
def bound(
    *,
    model: str,
    buffer: int | tuple[int, ...],
    batch: int,
    factors: str,
    time_limit: float | None,
    shape: tuple[dict[str, tuple[int, ...]], ...],
    journal: Path | None,
    charts: Path | None,
    progress: str,
    output: Output,
    **asked: Any,
) -> int:
    """Bounds on what the layers of MODEL move between DRAM and a buffer, in numbers of so many bits.

    For every layer: the numbers that Šíma's dataflows hold at a time, 2m² + 1; lower bounds, by the document, by
    triplets, by communication, and what is compulsory; the optimum of our mapper on the machine `two-level`; both
    dataflows and the document's upper bound; and optimum ÷ bound. MODEL is what `picojoule estimate` takes.

    MACs on padding are executed, as the machines here do: a weight that meets nothing else is read, and compulsory.

    The dataflows are counted for the layer as it is, with n² the inputs that its MACs touch, not (m·s)² as in the
    document. They presume a buffer with room for m² sums, the largest submap and a weight; in a smaller one they can't
    run, and their figures may lie below the bounds.

    With a range of buffers, such as 64B..4MB: bounds and optimum of the whole network for each of them, and the buffer
    from which on nothing moves but what is compulsory.
    """
    from picojoule.frontends import load_model
    from picojoule.search import Exact

    several = isinstance(buffer, tuple)
    for option, value in (("--journal", journal), ("--charts", charts)):
        if value is not None and not several:
            raise UsageError(f"{option} goes with a range of buffers", where=option, hint="Ask for --buffer 64B..4MB.")
    if journal is not None:
        check_output(journal, force=True, option="--journal")
    if charts is not None:
        from picojoule.reporting.buffer_charts import check_charts

        if not charts.is_dir():
            raise UsageError("there is no such folder", where=f"--charts {charts}", hint="Make the folder first.")
        check_charts()
    network = load_model(model, shape=shapes_of(shape)).with_batch(batch)
    search = Exact(time_limit_s=time_limit, factors=factors)
    if isinstance(buffer, tuple):
        return _over_buffers(network, buffer, search, journal, charts, progress, output, **asked)
    return _one_buffer(network, buffer, search, progress, output, **asked)


def _one_buffer(network: Network, buffer: int, search: Exact, progress: str, output: Output, **asked: Any) -> int:
    from picojoule.analysis.complexity import complexity_bounds
    from picojoule.reporting import bounds_csv, bounds_data, bounds_markdown, bounds_text

    with followed(progress, output) as follow:
        found = complexity_bounds(network, buffer_bits=buffer, search=search, progress=follow, **asked)
    if output.format == "json":
        output.write(_json(bounds_data(found)))
    elif output.format == "csv":
        output.write(bounds_csv(found))
    elif output.format == "md":
        output.write(bounds_markdown(found))
    else:
        output.write(bounds_text(found, width=output.width, color=output.colored))
    return INTERRUPTED if any(row.status == "INTERRUPTED" for row in found.rows) else 0


def _over_buffers(
    network: Network,
    buffers: tuple[int, ...],
    search: Exact,
    journal: Path | None,
    charts: Path | None,
    progress: str,
    output: Output,
    **asked: Any,
) -> int:
    from picojoule.analysis.complexity import BufferCurve, complexity_over_buffers
    from picojoule.reporting import curve_csv, curve_data, curve_markdown, curve_text

    def run(kept: Any, follow: Any) -> BufferCurve:
        return complexity_over_buffers(
            network, buffers=buffers, search=search, journal=kept, progress=follow, **asked
        )

    found = journalled(run, journal, progress, output)
    if found is None:
        return INTERRUPTED
    if output.format == "json":
        output.write(_json(curve_data(found)))
    elif output.format == "csv":
        output.write(curve_csv(found))
    elif output.format == "md":
        output.write(curve_markdown(found))
    else:
        output.write(curve_text(found, width=output.width, color=output.colored))
    if charts is not None:
        from picojoule.reporting.buffer_charts import write_buffer_chart

        output.note(f" wrote {write_buffer_chart(found, charts)}")
    return 0


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
