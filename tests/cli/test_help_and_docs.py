"""Every command and flag has help, stands in docs/reference/cli.md, and mirrors an argument of its function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from picojoule.analysis import check, explain
from picojoule.analysis.requirements import REQUIREMENTS
from picojoule.cli import main as entry
from picojoule.cli.check import ESTIMATING
from picojoule.cli.estimate import SORTS
from picojoule.cli.main import VERBS, main
from picojoule.compress import Lottery, prune, quantize
from picojoule.estimation import COUNTINGS, OBJECTIVES, estimate
from picojoule.exits import add
from picojoule.reporting import layer_table
from picojoule.reporting.page import report
from picojoule.runtime import measure
from picojoule.search import Exact
from picojoule.study.validation import validate_complexity
from picojoule.verification import verify

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"

OUTPUT = {"format_", "output", "force", "quiet", "verbose", "color"}
SHOWING = {"all_layers", "sort", "save", "no_save", "progress"}
"""Flags about what becomes of the result, which Python users decide by calling something else."""


def commands(command: click.Command = main, path: str = "picojoule") -> Iterator[tuple[str, click.Command]]:
    """Every command by its path, groups included."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


COMMANDS = dict(commands())


def section(path: str) -> str:
    """The part of the reference that is about one command."""
    parts = re.split(r"^#+ `(picojoule[^`]*)`.*$", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(path, "")


def test_the_commands_are_those_that_exist():
    assert set(COMMANDS) == {
        "picojoule study", "picojoule study run", "picojoule study show", "picojoule study front", "picojoule study best",
        "picojoule study export", "picojoule study report",
        "picojoule", "picojoule estimate", "picojoule explain", "picojoule verify", "picojoule compare",
        "picojoule check", "picojoule export", "picojoule report", "picojoule run",
        "picojoule quantize", "picojoule prune", "picojoule adapt",
        "picojoule complexity", "picojoule complexity bound", "picojoule complexity validate",
        "picojoule hardware", "picojoule hardware list", "picojoule hardware show", "picojoule hardware check",
        "picojoule hardware import", "picojoule hardware import timeloop",
        "picojoule hardware fit", "picojoule measure", "picojoule doctor",
        "picojoule models", "picojoule models list", "picojoule models show",
        "picojoule exits", "picojoule exits add", "picojoule exits choose", "picojoule exits decide", "picojoule exits deploy",
        "picojoule exits fit", "picojoule exits widths",
        "picojoule cache", "picojoule cache list", "picojoule cache clear", "picojoule cache path",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_has_help(path):
    command = COMMANDS[path]
    assert command.help and command.help.strip().endswith((".", ")"))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_answers_help(run, path):
    ran = run(*path.split()[1:], "--help")
    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"Usage: {path}")


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_and_its_flags_are_in_the_reference(path):
    text = section(path)
    assert text.strip(), f"docs/reference/cli.md has no section on `{path}`"
    common = section("picojoule") if path != "picojoule" else ""
    for parameter in COMMANDS[path].params:
        names = (
            parameter.opts
            if isinstance(parameter, click.Option)
            else [parameter.make_metavar(click.Context(COMMANDS[path]))]
        )
        for name in names:
            place = common if parameter.name in OUTPUT else text
            assert re.search(rf"`[^`]*(?<![\w-]){re.escape(name)}(?![\w-])", place), (
                f"{path}: {name} is not in the reference"
            )


def test_the_reference_names_no_flag_that_does_not_exist():
    parameters = [parameter for command in COMMANDS.values() for parameter in command.params]
    known = {name for parameter in parameters for name in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", REFERENCE.read_text(encoding="utf-8")))
    assert named <= known


def test_the_list_of_verbs_needs_no_import_and_says_what_the_verbs_say():
    for name, help_line in VERBS.items():
        assert COMMANDS[f"picojoule {name}"].get_short_help_str(200) == help_line


def test_flags_of_estimate_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule estimate"].params} - OUTPUT - SHOWING
    arguments = set(inspect.signature(estimate).parameters) - {"search", "progress", "example_input", "known"}
    policies = {field.name.removesuffix("_s") for field in fields(Exact)}
    assert flags == arguments | policies


def test_spelling_and_defaults_of_estimate_mirror_its_arguments():
    parameters, command = inspect.signature(estimate).parameters, COMMANDS["picojoule estimate"]
    defaults = command.make_context("estimate", ["m", "--hardware", "h"]).params
    for option in command.params:
        if isinstance(option, click.Option) and option.name in set(parameters) - {"progress", "hardware"}:
            assert f"--{option.name}" in option.opts
            assert (defaults[option.name] or None) == (parameters[option.name].default or None), option.name


def test_flags_of_validate_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule complexity validate"].params} - OUTPUT - SHOWING - {"charts"}
    arguments = set(inspect.signature(validate_complexity).parameters) - {"search", "journal", "progress"}
    assert flags == arguments | {"factors", "time_limit"}


def test_flags_of_verify_mirror_its_arguments():
    parameters = inspect.signature(verify).parameters
    assert {parameter.name for parameter in COMMANDS["picojoule verify"].params} - OUTPUT == set(parameters)
    helps = {p.name: p.help for p in COMMANDS["picojoule verify"].params if isinstance(p, click.Option)}
    for name in ("sample", "seed"):
        assert f"[default: {parameters[name].default}]" in helps[name]


def test_flags_of_report_mirror_its_arguments():
    assert {parameter.name for parameter in COMMANDS["picojoule report"].params} - OUTPUT == set(inspect.signature(report).parameters)


def test_flags_of_explain_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule explain"].params} - OUTPUT
    assert flags - {"time_limit"} == set(inspect.signature(explain).parameters) - {"search"}
    assert COMMANDS["picojoule explain"].make_context("explain", [str(REFERENCE)]).params["time_limit"] == Exact().time_limit_s


def test_flags_of_check_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule check"].params} - OUTPUT - {"progress"}
    arguments = set(inspect.signature(check).parameters) - {"example_input", "options"}
    assert flags == arguments | set(ESTIMATING)
    assert set(ESTIMATING) <= {parameter.name for parameter in COMMANDS["picojoule estimate"].params}
    assert set(REQUIREMENTS) <= arguments


def test_flags_of_measure_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule measure"].params} - OUTPUT - SHOWING
    parameters = inspect.signature(measure).parameters
    assert flags == set(parameters) - {"example_input", "counter", "progress"}
    defaults = COMMANDS["picojoule measure"].make_context("measure", ["m"]).params
    for name in flags - {"model"}:
        assert (defaults[name] or None) == (parameters[name].default or None), name


@pytest.mark.parametrize("function", [prune, quantize])
def test_flags_of_prune_and_quantize_mirror_their_arguments(function):
    flags = {parameter.name for parameter in COMMANDS[f"picojoule {function.__name__}"].params} - OUTPUT
    # The recipe's fields are flags of their own; the folder is what Python calls output.
    flags = flags - {"epochs", "rate", "distil", "seed"} | {"recipe"}
    # So are those of how tickets are looked for.
    tickets = set(inspect.signature(Lottery).parameters)
    if function is prune:
        assert tickets <= flags
        flags = flags - tickets | {"lottery"}
    named = {"normalise": "normalisation", "folder": "output"}
    python_only = {"example_input", "note", "teacher"}
    assert {named.get(name, name) for name in flags} == set(inspect.signature(function).parameters) - python_only


def test_flags_of_exits_add_mirror_its_arguments():
    flags = {parameter.name for parameter in COMMANDS["picojoule exits add"].params} - OUTPUT
    named = {"normalise": "normalisation", "folder": "output"}
    flags = {named.get(name, name) for name in flags - {"epochs", "rate", "distil", "seed"} | {"recipe"}}
    parameters = inspect.signature(add).parameters
    assert flags == set(parameters) - {"example_input", "note"}
    defaults = COMMANDS["picojoule exits add"].make_context("add", ["m:f", "--hardware", "h", "--folder", "f", "--data", "digits"]).params
    for name in ("at", "head_energy", "most", "lose", "train_backbone"):
        assert defaults[name] == parameters[name].default, name


def test_choices_mirror_the_library():
    choices = {
        p.name: tuple(p.type.choices) for p in COMMANDS["picojoule estimate"].params if isinstance(p.type, click.Choice)
    }
    assert choices["objective"] == OBJECTIVES
    assert choices["counting"] == COUNTINGS
    assert choices["sort"] == SORTS == tuple(layer_table.SORTS)


def test_every_exit_code_is_in_the_help_of_the_command_line():
    codes = set(re.findall(r"^    (\d+) ", entry.__doc__ or "", re.MULTILINE))
    assert codes == {"0", "1", "2", "3", "4", "130"}
    assert codes <= set(re.findall(r"\d+", main.epilog or ""))
    assert codes <= set(re.findall(r"^\| (\d+) \|", section("picojoule"), re.MULTILINE))
