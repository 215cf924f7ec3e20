"""``picojoule export``: a network or a result in a form that others take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.estimate import shape_option, shapes_of
from picojoule.cli.options import PLAIN_WIDTH
from picojoule.cli.streams import say, shows_color, write_stdout

TARGETS = {"bundle": "A folder that `picojoule run` runs: ONNX files and a manifest."}
_PATH = click.Path(path_type=Path)


@click.command("export", short_help="A network in a form that others run: a bundle.")
@click.argument("source")
@click.option("--to", "target", type=click.Choice(list(TARGETS)), required=True, help="Form of what is made.")
@click.option("-o", "--output", metavar="PATH", type=_PATH, required=True, help="What to make: a bundle's folder.")
@click.option("--labels", metavar="FILE", type=_PATH, help="Names of the classes, one a line or a JSON list.")
@click.option(
    "--preprocess",
    metavar="HOW",
    help="How images become the input: pixels, unit, imagenet, or a JSON file.",
)
@click.option(
    "--exits",
    type=click.Choice(("auto", "none")),
    default="auto",
    show_default=True,
    help="auto: outputs that are all batch × classes are exits, one stage each.",
)
@click.option(
    "--scores",
    type=click.Choice(("auto", "logits", "probabilities", "none")),
    default="auto",
    show_default=True,
    help="What an output of batch × classes is.",
)
@click.option("--confidence", metavar="C", type=float, help="Let samples leave at exits that are so sure, 0 to 1.")
@shape_option
@click.option(
    "--tolerance", metavar="T", type=float, default=1e-4, show_default=True, help="Largest difference that is no error."
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of the check's inputs.")
@click.option("--trust", is_flag=True, help="Load a .pt2 file with PyTorch, which may run code that is in it.")
@click.option(
    "--format", "format_", type=click.Choice(("table", "json")), default="table", show_default=True, help="Form of the report."
)
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing but errors on stderr.")
@click.option("-v", "--verbose", count=True, help="Say more; -vv adds tracebacks to errors.")
@click.option(
    "--color", type=click.Choice(("auto", "always", "never")), default="auto", show_default=True, help="Colours."
)
def command(*, source: str, target: str, output: Path, format_: str, quiet: bool, verbose: int, color: str, **given: Any) -> None:
    """Make what --to names of SOURCE.

    For a bundle SOURCE is an ONNX file, package.module:factory (an nn.Module, or a pair of it and its example input),
    or a .pt2 file (with --trust).
    """
    assert target == "bundle"
    export_to_bundle(source, output, format_=format_, quiet=quiet, color=color, **given)


def export_to_bundle(
    source: str, output: Path, *, format_: str, quiet: bool, color: str, confidence: float | None, shape: Any, **given: Any
) -> None:
    """Writes the bundle and tells of it: what it holds on standard output, the next step beside that."""
    import sys

    from picojoule.reporting.bundles import bundle_data, bundle_text
    from picojoule.runtime.bundle_export import export_bundle

    bundle = export_bundle(source, output, shape=shapes_of(shape), confidence=confidence, **given)
    if format_ == "json":
        write_stdout(json.dumps(bundle_data(bundle), indent=1, ensure_ascii=False) + "\n", utf8=True)
    else:
        write_stdout(bundle_text(bundle, width=PLAIN_WIDTH, color=shows_color(sys.stdout, color)))
    if not quiet:
        say(f" wrote {output}       next: picojoule run {output} --input IMAGES")
