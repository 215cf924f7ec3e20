"""``picojoule study``: many designs at once: run, show, front, best, export."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from picojoule.cli.estimate import followed
from picojoule.cli.failures import INTERRUPTED
from picojoule.cli.options import Output, cluster_option, output_options, progress_option, shows_progress
from picojoule.cli.streams import check_output, paint
from picojoule.errors import UsageError

_TOLD_EVERY_S = 30.0
_WHERE = click.option("--study", "name", metavar="NAME", help="Of several studies in one storage, which.")


@click.group("study", short_help="Many designs at once: run, show, front, best, export, report.")
def command() -> None:
    """Many designs at once: networks × machines × settings, each point an estimate, kept as it comes."""


@command.command("run", short_help="Solve the points of a study; what is kept is not done again.")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--search", metavar="WAY", default="grid", show_default=True, help="Which points: grid, random or guided.")
@click.option("--points", metavar="N", type=click.IntRange(min=1), help="How many.  [default: all of the grid]")
@click.option("--sampler", metavar="NAME", default="tpe", show_default=True, help="Of a guided search: tpe, nsga2 or gp.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is drawn.")
@click.option("--storage", metavar="FILE|URL", help="Where points are kept.  [default: STUDY.db, here]")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@cluster_option
@click.option(
    "--cache/--no-cache", default=True, show_default=True, help="Reuse what earlier runs found for equal layers."
)
@progress_option
@output_options("table", "json")
def run(*, file: Path, storage: str | None, progress: str, output: Output, **asked: Any) -> int:
    """Solve the points of a study, and show what it comes to.

    STUDY.yaml lists networks, machines, axes (fields of the machine, bits, batch, sparsity, fuse), objectives and
    constraints; see docs/reference/study.md. Every point is kept as soon as it is there: after Ctrl-C, or when the process is
    killed, the same command goes on. Exit code 1 if no point keeps all constraints, or none could be estimated. Needs `pip install 'picojoule[study]'`, --cluster `picojoule[cluster]`.
    """
    from picojoule.reporting.studies import study_text, summary_data
    from picojoule.study import read_study, run_study, summary

    study = read_study(file)
    place = storage or f"{file.stem}.db"
    drawn = shows_progress(progress, quiet=output.quiet)
    with followed(progress, output) as follow:
        hears = follow if follow is None or drawn else _counted(follow, every_s=0.0 if output.verbose else _TOLD_EVERY_S)
        ran = run_study(study, storage=place, progress=hears, **asked)
    told = f" {ran.done} of {ran.wanted} points are kept in {shlex.quote(place)}"
    if ran.interrupted:
        output.note(paint("interrupted:", "red", output.color) + f"{told}; the same command goes on from there")
        return INTERRUPTED
    found = summary(place, study.name)
    if output.format == "json":
        output.write(_json(summary_data(found)))
    else:
        output.write(study_text(found, width=output.width, color=output.colored))
    if found.refusal:
        output.note(f"{told}, but {found.refusal}")
        return 1
    output.note(f"{told}       next: picojoule study best {shlex.quote(place)}")
    return 0


@command.command("show", short_help="What a study came to so far.")
@click.argument("storage")
@_WHERE
@click.option("--all", "all_points", is_flag=True, help="Show every point of the front.")
@output_options("table", "json")
def show(*, storage: str, name: str | None, all_points: bool, output: Output) -> None:
    """What a study came to so far: its front, and how much each axis matters. STORAGE is its file or URL."""
    from picojoule.reporting.studies import study_text, summary_data
    from picojoule.study import summary

    found = summary(storage, name)
    if output.format == "json":
        output.write(_json(summary_data(found)))
    else:
        output.write(study_text(found, width=output.width, color=output.colored, all_points=all_points))


@command.command("front", short_help="The points that no other beats.")
@click.argument("storage")
@_WHERE
@output_options("table", "json", "csv")
def front(*, storage: str, name: str | None, output: Output) -> None:
    """The points that keep all constraints and that no other beats in all objectives."""
    from picojoule.reporting.studies import front_text, study_csv, summary_data
    from picojoule.study import summary

    found = summary(storage, name)
    if output.format == "json":
        output.write(_json(summary_data(found)["front"]))
    elif output.format == "csv":
        output.write(study_csv(found.front, found.axes))
    else:
        output.write(front_text(found, width=output.width, color=output.colored))


@command.command("best", short_help="The best point for every objective.")
@click.argument("storage")
@_WHERE
@output_options("table", "json")
def best(*, storage: str, name: str | None, output: Output) -> None:
    """For every objective the best point that keeps all constraints; exit code 1 if there is none."""
    from picojoule.reporting.studies import best_text, summary_data
    from picojoule.study import summary

    found = summary(storage, name)
    if output.format == "json":
        output.write(_json(summary_data(found)["best"]))
    else:
        output.write(best_text(found, width=output.width, color=output.colored))
    click.get_current_context().exit(0 if found.best else 1)


@command.command("export", short_help="All points as Parquet or CSV.")
@click.argument("storage")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@_WHERE
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export(*, storage: str, target: Path, name: str | None, force: bool) -> None:
    """All points with axes and figures, one a row, to FILE.parquet (needs `picojoule[report]`) or FILE.csv."""
    from picojoule.cli.streams import say, write_file
    from picojoule.reporting.studies import study_csv, write_parquet
    from picojoule.study import read_points

    if target.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{target.name} is neither .parquet nor .csv", where="FILE", hint="Name one such as points.parquet.")
    check_output(target, force=force, option="FILE")
    about, records = read_points(storage, name)
    axes = [axis["name"] for axis in about["axes"]]
    if target.suffix == ".csv":
        write_file(target, study_csv(records, axes))
    else:
        write_parquet(records, axes, target, about)
    say(f" wrote {target}")


@command.command("report", short_help="A page about a study: front, axes, best points.")
@click.argument("storage")
@_WHERE
@click.option(
    "-o", "--output", "target", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The page, as HTML."
)
@click.option("--force", is_flag=True, help="Overwrite the FILE of -o.")
def report(*, storage: str, name: str | None, target: Path, force: bool) -> None:
    """A page about a study as one HTML file: the front, what each axis does, the best points as cards, all in tables."""
    from picojoule.cli.streams import say, write_file
    from picojoule.reporting.page.study import study_page
    from picojoule.study import summary

    check_output(target, force=force)
    write_file(target, study_page(summary(storage, name)))
    say(f" wrote {target}")


def _counted(follow: Callable[[Any], None], *, every_s: float) -> Callable[[Any], None]:
    """Tells of a point now and then, and how many there are: in a log, a line for each would be too much."""
    last = -every_s

    def told(state: Any) -> None:
        nonlocal last
        if (state.layer or state.note) and (now := time.monotonic()) - last >= every_s:
            last = now
            told_of = f"{state.index} of {state.layers} points"
            follow(replace(state, layer="", note=" · ".join(part for part in (told_of, state.note) if part)))

    return told


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
