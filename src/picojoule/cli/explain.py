"""``picojoule explain``: what binds each layer of a result."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picojoule.cli.estimate import followed
from picojoule.cli.options import Output, Parsed, output_options, progress_option
from picojoule.cli.options import time_limit as parse_time_limit


@click.command("explain", short_help="What binds each layer of a result.")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("layer", required=False)
@click.option(
    "--time-limit",
    metavar="TIME",
    type=Parsed("TIME", parse_time_limit),
    default="3s",
    show_default=True,
    help="Of each search behind steps 5 to 7, three a layer at most, and behind every what-if; none for no limit.",
)
@click.option(
    "--what-ifs",
    type=click.Choice(["off", "quick", "full"]),
    default="off",
    show_default=True,
    help="Solve what a larger buffer, array or batch, more bandwidth, a bit less or the next DRAM would pay.",
)
@progress_option
@output_options("table", "json", "csv", "md")
def command(
    *, result: Path, layer: str | None, time_limit: float | None, what_ifs: str, progress: str, output: Output
) -> int:
    """Say what binds each layer of the result file RESULT, or all about one LAYER.

    Eyexam's seven steps (the most MACs per cycle of any mapping under the shape of the layer, the dataflow, the number
    of PEs, the sides of the array, the memories, their average bandwidth, and varying access) and the chosen mapping;
    rooflines of MACs per cycle and of energy per MAC; communication per compute and its inverse; the share of the
    array's peak that is reached, and what keeps it from more; reuse of every tensor.

    With --what-ifs every layer is solved again on machines with one thing changed, and the changes are ranked by what
    they pay. quick leaves long searches after a part of the way, and says what is proved; full goes to the end.
    """
    from picojoule.analysis import explain
    from picojoule.reporting import explanation_csv, explanation_data, explanation_markdown, explanation_text
    from picojoule.search import Exact

    with followed(progress, output) as follow:
        explanation = explain(result, layer, search=Exact(time_limit_s=time_limit), what_ifs=what_ifs, progress=follow)
    if output.format == "json":
        output.write(json.dumps(explanation_data(explanation), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif output.format == "csv":
        output.write(explanation_csv(explanation))
    elif output.format == "md":
        output.write(explanation_markdown(explanation))
    else:
        detail = layer is not None or output.verbose > 0
        output.write(explanation_text(explanation, width=output.width, color=output.colored, detail=detail))
    return 0
