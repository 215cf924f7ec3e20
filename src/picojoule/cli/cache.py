"""``picojoule cache``: a look into what earlier searches found, and its removal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.options import Output, output_options
from picojoule.errors import SystemFailure


@click.group("cache", short_help="What earlier searches found: list, clear, path.")
def command() -> None:
    """What earlier searches found: `picojoule estimate` takes from here what it has proved before."""


@command.command("list", short_help="What is kept, by machine and objective.")
@output_options("table", "json")
def list_(*, output: Output) -> None:
    """What is kept, by machine and objective; with --format json every layer."""
    from picojoule.reporting.cached import cache_data, cache_text
    from picojoule.search.cache import entries
    from picojoule.search.derived import count

    folder = _folder()
    kept, derived = entries(folder), count(folder)
    if output.format == "json":
        output.write(_json(cache_data(kept, folder, derived)))
    else:
        output.write(cache_text(kept, folder, derived, width=output.width, color=output.colored))


@command.command("clear", short_help="Remove all that is kept.")
@output_options("table", "json")
def clear(*, output: Output) -> None:
    """Remove all that is kept; other files in the folder stay."""
    from picojoule.search.cache import clear as remove

    folder = _folder()
    removed, size_bytes = remove(folder)
    if output.format == "json":
        output.write(_json({"path": str(folder), "removed": removed, "bytes": size_bytes}))
    else:
        output.write(f"removed {removed} result{'' if removed == 1 else 's'} from {folder}\n")


@command.command("path", short_help="The folder where it is kept.")
@output_options("table", "json")
def path(*, output: Output) -> None:
    """The folder where it is kept, and whether it can be used."""
    from picojoule.search.cache import trouble

    folder = _folder()
    problem = trouble(folder)
    if output.format == "json":
        output.write(_json({"path": str(folder), "usable": not problem, "problem": problem or None}))
        return
    output.write(f"{folder}\n")
    if problem:
        output.note(f" nothing is kept: {problem}")


def _folder() -> Path:
    from picojoule.search.cache import cache_folder

    folder = cache_folder()
    if folder is None:
        raise SystemFailure("no home folder to keep a cache in", hint="Name a folder in $PICOJOULE_CACHE_DIR.")
    return folder


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
