"""``picojoule compare``: results of one network side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picojoule.cli.options import Output, output_options

NO = 1


@click.command("compare", short_help="Results of one network side by side.")
@click.argument(
    "results",
    metavar="RESULT...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--fail-on",
    metavar="FIGURE:+N%",
    multiple=True,
    help="How much energy, latency, edp, dram, weights or activations may grow from the first result on; may be repeated.",
)
@output_options("table", "json", "csv", "md")
def command(*, results: tuple[Path, ...], fail_on: tuple[str, ...], output: Output) -> int:
    """Put the result files RESULT side by side: energy, latency, energy × delay, and the energy at each level.

    Ratios are to the first. All must be of one network, or versions of it, and of one batch. Given results of two machines or
    more under each of two energy tables or more (`picojoule estimate --table`), the machines are ranked by energy under
    each table. The exit code is 1 if two machines change places from one table to another, or if a figure has grown by more
    than --fail-on allows, else 0.
    """
    from picojoule.analysis import compare
    from picojoule.reporting import comparison_csv, comparison_data, comparison_markdown, comparison_text

    comparison = compare(results, fail_on=fail_on)
    if output.format == "json":
        output.write(json.dumps(comparison_data(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif output.format == "csv":
        output.write(comparison_csv(comparison))
    elif output.format == "md":
        output.write(comparison_markdown(comparison))
    else:
        output.write(comparison_text(comparison, width=output.width, color=output.colored, every=output.verbose > 0))
    return NO if comparison.survives is False or comparison.failed else 0
