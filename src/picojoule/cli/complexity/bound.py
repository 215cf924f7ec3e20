"""``picojoule complexity bound``: lower and upper bounds of every layer for one buffer."""

from __future__ import annotations

import json

import click

from picojoule.cli.estimate import followed, shape_option, shapes_of
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, Parsed, output_options, progress_option
from picojoule.cli.options import time_limit as parse_time_limit
from picojoule.units import parse_size_bits


@click.command("bound", short_help="Lower and upper bounds of every layer for one buffer.")
@click.argument("model")
@click.option(
    "--buffer",
    metavar="SIZE",
    type=Parsed("SIZE", parse_size_bits),
    required=True,
    help="Size of the buffer: 64kB, 512 bit; 1 kB is 1024 bytes.",
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
@progress_option
@output_options("table", "json", "csv", "md")
def bound(
    *,
    model: str,
    buffer: int,
    bits: int,
    batch: int,
    factors: str,
    time_limit: float | None,
    shape: tuple[dict[str, tuple[int, ...]], ...],
    jobs: int,
    progress: str,
    output: Output,
) -> int:
    """Bounds on what the layers of MODEL move between DRAM and a buffer, in numbers of so many bits.

    For every layer: the numbers that Šíma's dataflows hold at a time, 2m² + 1; lower bounds, by the document, by
    triplets, by communication, and what is compulsory; the optimum of our mapper on the machine `two-level`; both
    dataflows and the document's upper bound; and optimum ÷ bound. MODEL is what `picojoule estimate` takes.
    """
    from picojoule.analysis.complexity import complexity_bounds
    from picojoule.frontends import load_model
    from picojoule.reporting import bounds_csv, bounds_data, bounds_markdown, bounds_text
    from picojoule.search import Exact

    network = load_model(model, shape=shapes_of(shape)).with_batch(batch)
    search = Exact(time_limit_s=time_limit, factors=factors)
    with followed(progress, output) as follow:
        found = complexity_bounds(
            network, buffer_bits=buffer, bits=bits, search=search, jobs=jobs, progress=follow
        )
    if output.format == "json":
        output.write(json.dumps(bounds_data(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif output.format == "csv":
        output.write(bounds_csv(found))
    elif output.format == "md":
        output.write(bounds_markdown(found))
    else:
        output.write(bounds_text(found, width=output.width, color=output.colored))
    return INTERRUPTED if any(row.status == "INTERRUPTED" for row in found.rows) else 0
