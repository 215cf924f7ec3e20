"""``picojoule report``: one HTML page about a result."""

from __future__ import annotations

import sys
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
@output_options("html")
def command(*, results: tuple[Path, ...], explanation: Path | None, output: Output) -> None:
    """Write one HTML page about the result file RESULT; given several of one network, about the last beside the others. Given result.json of
    prune and quantize, or several: accuracy against energy of all.

    It opens without a network: the verdict in words; shares of the machine's peaks; energy by layer, level and data type;
    bytes moved; rooflines; the ladder of bounds; Eyexam; mappings; provenance, with the result file for download. Every
    figure has its table under it.
    """
    if output.to_stdout and is_terminal(sys.stdout):
        raise UsageError("a page is nothing to read on a terminal", where="-o", hint="Name a file: -o report.html")
    from picojoule.reporting.page import report

    page = report(results, explanation=explanation)
    output.write(page)
    if not output.to_stdout:
        output.note(f" wrote {output.path}, {len(page.encode()) / 1e3:,.0f} kB       open it in a browser")
