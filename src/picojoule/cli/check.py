"""``picojoule check``: does a network on a machine meet what is required of it?"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from picojoule.analysis.requirements import REQUIREMENTS
from picojoule.analysis.subjects import is_result_file
from picojoule.cli.estimate import command as estimate_command
from picojoule.cli.estimate import followed, shapes_of
from picojoule.cli.options import Output, output_options, progress_option
from picojoule.errors import UsageError

NOT_MET = 1
ESTIMATING = (
    "hardware", "batch", "bits", "objective", "sparsity", "data", "gap", "time_limit", "node_limit", "factors", "fps", "table",
    "shape", "jobs", "cache",
)  # fmt: skip
"""Options of ``estimate`` that are also those of ``check``, where a model is given."""

_SEARCH = ("gap", "time_limit", "node_limit", "factors")


def _estimating(command: Any) -> Any:
    """The options of ``estimate``, none of them demanded."""
    for option in reversed([p for p in estimate_command.params if p.name in ESTIMATING]):
        mine = copy.copy(option)
        mine.required = False
        command = _given(mine)(command)
    return command


def _given(option: click.Parameter) -> Any:
    def decorate(command: Any) -> Any:
        command.__click_params__ = [*getattr(command, "__click_params__", []), option]
        return command

    return decorate


def _limits(command: Any) -> Any:
    for requirement in reversed(REQUIREMENTS.values()):
        flag = f"--{requirement.key.replace('_', '-')}"
        help_line = f"{requirement.meaning} [example: {requirement.example}]"
        command = click.option(
            flag, requirement.key, metavar=requirement.what.rpartition(" ")[2].upper(), help=help_line
        )(command)
    return command


@click.command("check", short_help="Does a network on a machine meet what is required of it?")
@click.argument("model", metavar="MODEL|RESULT")
@click.option(
    "--require",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file of requirements; those of the command line come first.",
)
@_limits
@click.option("--accuracy", metavar="SHARE", help="The accuracy of the network, measured elsewhere: 0.9 or 90%.")
@_estimating
@progress_option
@output_options("table", "json", "md")
def command(*, model: str, output: Output, progress: str, **given: Any) -> int:
    """Say whether MODEL on a machine, or the result file RESULT, meets what is required of it.

    Four questions in order, and the first no ends it: accuracy, latency and throughput, energy and power, cost. A no says by how
    much, and what it would take. What the result can't answer is neither yes nor no. The exit code is 0 if everything is met
    and 1 if not, or if that can't be told.
    """
    from picojoule.analysis import check
    from picojoule.reporting import verdict_data, verdict_markdown, verdict_text
    from picojoule.search import Exact

    settings = {name: given.pop(name) for name in ESTIMATING}
    if is_result_file(model):
        _refuse_settings(model)
        verdict = check(model, **given)
    else:
        search = Exact(**{name if name != "time_limit" else "time_limit_s": settings.pop(name) for name in _SEARCH})
        settings["shape"] = shapes_of(settings["shape"])
        with followed(progress, output) as follow:
            verdict = check(model, **given, search=search, progress=follow, **settings)
    if output.format == "json":
        output.write(json.dumps(verdict_data(verdict), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif output.format == "md":
        output.write(verdict_markdown(verdict))
    else:
        output.write(verdict_text(verdict, width=output.width, color=output.colored))
    return 0 if verdict.ok else NOT_MET


def _refuse_settings(model: str) -> None:
    """A result has been estimated already: what would change it is refused."""
    context = click.get_current_context()
    for name in ESTIMATING:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            flag = "--" + {"time_limit": "time-limit", "node_limit": "node-limit"}.get(name, name)
            raise UsageError(
                f"{model} is a result, which has its machine and its settings already",
                where=flag,
                hint="Leave the flag out, or name a model in place of the result.",
            )
