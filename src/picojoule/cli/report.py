"""``picojoule report``: one HTML page about a result."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from picojoule.cli.options import Output, output_options
from picojoule.cli.streams import is_terminal
from picojoule.errors import UsageError

_RESULT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("report", short_help="One page about a result: figures, tables, mappings.")
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=_RESULT)
@click.option(
    "--explanation",
    metavar="FILE",
    type=_RESULT,
    help="What `picojoule explain RESULT --format json -o FILE` found, in place of bounds that need no search.",
)
@output_options("html", "table", "json")
def command(*, results: tuple[Path, ...], explanation: Path | None, output: Output) -> None:
    """Write one HTML page about the result file RESULT; given several of one network, about the last beside the others. Given result.json of
    prune and quantize, or several: accuracy against energy of all, and the ladder from each to the next, which --format table
    prints.

    RESULT may also be what `picojoule exits decide --format json` or `picojoule exits add` wrote: front, histogram, energies, a slider of settings.

    It opens without a network: the verdict in words; shares of the machine's peaks; energy by layer, level and data type;
    bytes moved; rooflines; the ladder of bounds; Eyexam; mappings; provenance, with the result file for download. Every
    figure has its table under it.
    """
    if output.format != "html":
        output.write(_ladder(results, output))
        return
    if output.to_stdout and is_terminal(sys.stdout):
        raise UsageError("a page is nothing to read on a terminal", where="-o", hint="Name a file: -o report.html")
    from picojoule.reporting.page import report

    page = report(results, explanation=explanation)
    output.write(page)
    if not output.to_stdout:
        output.note(f" wrote {output.path}, {len(page.encode()) / 1e3:,.0f} kB       open it in a browser")


def _ladder(results: tuple[Path, ...], output: Output) -> str:
    """The steps of results of ``prune`` and ``quantize`` as a table or JSON."""
    from picojoule.reporting.ladder import ladder_text
    from picojoule.reporting.page.compressions import compression_schema, front_of

    for one in results:
        if compression_schema(one) is None:
            raise UsageError(
                f"a {output.format} is of results of prune and quantize",
                where=str(one),
                hint="Of a result of estimate, picojoule compare and explain print tables.",
            )
    front = front_of(results)
    if len(front.ladder) < 2:
        raise UsageError(
            "a ladder has two steps or more",
            where="RESULT",
            hint='Name several results in order, or a front file with "ladder": [names].',
        )
    if output.format == "json":
        steps = [asdict(step) for step in front.steps]
        told = {"model": front.model, "hardware": front.hardware, "unit": front.unit, "steps": steps}
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    return ladder_text(
        front.model, front.hardware, front.unit, front.steps, width=output.width, color=output.colored
    )
