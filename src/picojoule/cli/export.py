"""``picojoule export``: a result or a network in a form that others take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from picojoule.cli.options import Output, Parsed, check_replaces_no_input, output_options
from picojoule.cli.streams import shows_color, write_stdout
from picojoule.errors import UsageError
from picojoule.reporting.exports import Option, checked_sources, target_of, targets, written


def _target_options(command: Any) -> Any:
    """The options of all targets, each once."""
    known: dict[str, tuple[Option, list[str]]] = {}
    for target in targets().values():
        for option in target.options:
            known.setdefault(option.name, (option, []))[1].append(target.name)
    for option, names in reversed(known.values()):
        command = _as_click(option, names)(command)
    return command


def _as_click(option: Option, names: list[str]) -> Any:
    flag, helps = f"--{option.name.replace('_', '-')}", f"{' and '.join(names)}: {option.help}"
    if option.flag:
        return click.option(flag, is_flag=True, help=helps)
    kind: Any = str
    if option.choices:
        kind = click.Choice(option.choices)
    elif option.path:
        kind = click.Path(exists=True, path_type=Path)
    elif option.parse is not None:
        kind = Parsed(option.metavar, option.parse)
    shown = option.default is not None
    return click.option(
        flag,
        metavar=option.metavar or None,
        type=kind,
        multiple=option.several,
        default=option.default,
        show_default=shown,
        help=helps,
    )


@click.command("export", short_help="A result or a network in a form that others take.")
@click.argument("source", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--to", type=click.Choice(list(targets())), required=True, help="Form of what is made.")
@_target_options
@output_options("table", "json", "csv", "md", folders=True)
def command(*, source: tuple[str, ...], to: str, output: Output, **given: Any) -> int:
    """Write the result files or the network SOURCE in a form that others take.

    datasheet: chip and networks in two tables, in which what is missing says so. csv and parquet: a row for each layer × level × tensor.
    onnx: the ONNX file that was estimated, with notes at its nodes. bibtex: what to cite.

    bundle: a folder that `picojoule run` runs, of an ONNX file, package.module:factory, or a .pt2 file (with --trust).
    """
    target = target_of(to)
    if not target.folder:
        output.check()
    sources = checked_sources(target, source)
    _refuse_foreign(to, output, given)
    options = {name: value for name, value in given.items() if name in {option.name for option in target.options}}
    if target.text is not None:
        output.write(target.text(sources, form=output.format, width=output.width, color=output.colored, **options))
        return 0
    if output.to_stdout or output.path is None:
        where = "a folder" if target.folder else "a file"
        raise UsageError(f"{to} goes into {where}, not to standard output", where="-o", hint="Name it: -o PATH")
    check_replaces_no_input(output.path, [Path(one) for one in source], "-o")
    shown = {"form": output.format, "width": output.width, "color": shows_color(sys.stdout, output.color)}
    told = written(target, sources, output.path, force=output.force, **shown, **options)
    if target.forms:
        write_stdout(told, utf8=output.format == "json")
    output.note(f" wrote {output.path}" + (f": {told}" if told and not target.forms else ""))
    return 0


def _refuse_foreign(to: str, output: Output, given: dict[str, Any]) -> None:
    """An option of another target is a mistake, and so is a form that this one hasn't."""
    target, context = target_of(to), click.get_current_context()
    mine = {option.name for option in target.options}
    for name in given:
        if name not in mine and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            whose = " and ".join(other.name for other in targets().values() if name in {o.name for o in other.options})
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is for --to {whose}", where=flag, hint=f"Leave it out with --to {to}.")
    # JSON is also the form of errors, whatever the target.
    if output.format not in (*(target.forms or ("table",)), "json"):
        hint = f"It has these: {', '.join(target.forms)}." if target.forms else "It has one form: leave --format out."
        raise UsageError(f"{to} has no form {output.format!r}", where="--format", hint=hint)
