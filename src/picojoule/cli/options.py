"""Options that mean the same in every verb, and how their values are read."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from picojoule.atomic_file import replaced
from picojoule.cli.streams import check_output, is_terminal, say, shows_color, write_file, write_stdout
from picojoule.errors import UsageError
from picojoule.units import parse_seconds

PLAIN_WIDTH = 110
"""Columns where nobody's terminal says how many there are."""

_WHEN = ("auto", "always", "never")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Parsed(click.ParamType):
    """A value that one of picojoule's own parsers reads; its complaint names the option.

    Args:
        name: stands for the value in help.
        parse: text → value, raises UsageError.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except UsageError as error:
            option = param.opts[0] if param is not None else ""
            raise UsageError(error.message, where=error.where or option, hint=error.hint) from None


def time_limit(text: str) -> float | None:
    """Seconds from ``3s`` or ``2min``; None, without limit, from ``none``.

    Raises:
        UsageError: not a time.
    """
    return None if text == "none" else parse_seconds(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the formatted output goes, and how.

    Attributes:
        format: one of those that the verb offers.
        path: a file instead of standard output; None or ``-`` is standard output.
        force: overwrite ``path``.
        quiet: nothing on standard error but errors.
        verbose: how often -v was given.
        color: auto, always or never.
    """

    format: str
    path: Path | None
    force: bool
    quiet: bool
    verbose: int
    color: str

    def check(self) -> None:
        """Refuses an output that exists or can't be, before any work is done for it.

        Raises:
            UsageError: see ``streams.check_output``.
        """
        if self.path is not None and str(self.path) != "-":
            check_output(self.path, force=self.force)

    @property
    def to_stdout(self) -> bool:
        return self.path is None or str(self.path) == "-"

    @property
    def colored(self) -> bool:
        """Whether the formatted output has colours; a file gets them only if they are asked for."""
        return shows_color(sys.stdout, self.color) if self.to_stdout else self.color == "always"

    @property
    def width(self) -> int:
        """Columns to fill: those of the terminal, else of $COLUMNS, else ``PLAIN_WIDTH``."""
        if self.to_stdout and is_terminal(sys.stdout):
            return shutil.get_terminal_size().columns
        given = os.environ.get("COLUMNS", "")
        return int(given) if given.isascii() and given.isdigit() and int(given) > 0 else PLAIN_WIDTH

    def write(self, text: str) -> None:
        """Sends the formatted output on its way.

        Raises:
            SystemFailure: it can't be written.
        """
        if self.to_stdout:
            write_stdout(text, utf8=self.format == "json")
        else:
            assert self.path is not None
            write_file(self.path, text)

    def note(self, text: str) -> None:
        """A word to the user beside the data."""
        if not self.quiet:
            say(text)


def output_options(*formats: str, writes: tuple[str, ...] = (), folders: bool = False) -> Callable[[_Command], _Command]:
    """Gives a command the options about output; it receives them as one argument ``output``.

    Args:
        formats: values of ``--format``, the default first.
        writes: the command's own parameters that name files to write. Before any work is done each of these, and the
            file of ``-o``, is refused if it would replace another one, or a file that the command reads.
        folders: the command may write a folder in place of a file, and calls ``Output.check`` itself where it doesn't.
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            output = Output(
                format=given.pop("format_"),
                path=given.pop("output"),
                force=given.pop("force"),
                quiet=given.pop("quiet"),
                verbose=given.pop("verbose"),
                color=given.pop("color"),
            )
            if not folders:
                output.check()
            _check_replaces_nothing(output, given, writes)
            return command(output=output, **given)

        for option in reversed(_output_options(formats)):
            run = option(run)
        return run  # type: ignore[return-value]

    return decorate


def _check_replaces_nothing(output: Output, given: dict[str, Any], writes: tuple[str, ...]) -> None:
    """Refuses an output in the place of an input, or two outputs in one place; the lesser one gives way.

    Raises:
        UsageError: see above.
    """
    outputs = [("-o", output.path)] if output.path is not None and not output.to_stdout else []
    outputs += [(f"--{name.replace('_', '-')}", given[name]) for name in writes if given[name] is not None]
    inputs = _read(given, writes) if outputs else []
    for n, (option, path) in enumerate(outputs):
        check_replaces_no_input(path, inputs, option)
        for earlier, other in outputs[:n]:
            if replaced(path, [other]):
                message = f"{earlier} and {option} name the same file"
                raise UsageError(message, where=f"{option} {path}", hint="Name two files.")


def check_replaces_no_input(path: Path, inputs: Sequence[Path], option: str) -> None:
    """Refuses an output in the place of an input.

    Raises:
        UsageError: it would replace one.
    """
    lost = replaced(path, inputs)
    if lost is not None:
        message = f"{option} would replace the input {lost}"
        raise UsageError(message, where=f"{option} {path}", hint=f"Name another file with {option}.")


def _read(given: dict[str, Any], writes: tuple[str, ...]) -> list[Path]:
    """Files and folders that a command's arguments and options name to be read, if they exist."""
    named = []
    for parameter in click.get_current_context().command.params:
        value = given.get(parameter.name or "")
        if parameter.name not in writes and isinstance(parameter.type, click.Path | click.types.StringParamType):
            named += [Path(one) for one in (value if isinstance(value, tuple) else (value,)) if one]
    return [path for path in named if os.path.lexists(path)]


def _output_options(formats: tuple[str, ...]) -> list[Callable[[Any], Any]]:
    path = click.Path(path_type=Path)
    return [
        click.option(
            "--format",
            "format_",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="Form of the output.",
        ),
        click.option(
            "-o", "--output", metavar="FILE", type=path, help="Send the formatted output to FILE; see --force."
        ),
        click.option("--force", is_flag=True, help="Overwrite the FILE of -o."),
        click.option("-q", "--quiet", is_flag=True, help="Nothing but errors on stderr."),
        click.option("-v", "--verbose", count=True, help="Say more; -vv adds tracebacks to errors."),
        click.option(
            "--color",
            type=click.Choice(_WHEN),
            default="auto",
            show_default=True,
            help="Colours; auto: on terminals only.",
        ),
    ]


def progress_option(command: _Command) -> _Command:
    """``--progress``: whether to show how far the work is."""
    return click.option(
        "--progress",
        type=click.Choice(_WHEN),
        default="auto",
        show_default=True,
        help="Progress on stderr; auto: on terminals only, elsewhere no more than a line.",
    )(command)


def timeout_option(command: _Command) -> _Command:
    """``--timeout``: of a runner's call."""
    return click.option(
        "--timeout",
        metavar="TIME",
        type=Parsed("TIME", parse_seconds),
        default="60s",
        show_default=True,
        help="How long a call of the runner may take.",
    )(command)


def cluster_option(command: _Command) -> _Command:
    """``--cluster``: who does the work in place of processes here."""
    return click.option(
        "--cluster", metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:8786, whose workers do the work."
    )(command)


def shows_progress(when: str, *, quiet: bool) -> bool:
    """Whether to draw progress on standard error; never into the log of a CI run unless asked."""
    if when != "auto":
        return when == "always"
    return not quiet and is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
