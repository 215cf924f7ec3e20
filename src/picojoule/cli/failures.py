"""What went wrong, as the user reads it: a line on stderr, a document on stdout if JSON was asked for, an exit code."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Sequence

import click

from picojoule.cli.streams import closed_pipe, paint, say, write_stdout
from picojoule.errors import PicojouleError, SystemFailure, UsageError

INTERRUPTED = 130


def exit_code_of(failure: BaseException, arguments: Sequence[str]) -> int:
    """Tells the user what happened and returns the exit code.

    Args:
        failure: what ended the command.
        arguments: the command line: it may fail before its options are read.
    """
    if isinstance(failure, OSError) and closed_pipe(failure):
        return 0
    if isinstance(failure, click.exceptions.NoArgsIsHelpError):
        say(failure.format_message())
        return UsageError.exit_code
    error, code, name = _explained(failure, _option(arguments, "--folder"))
    if _wants_traceback(arguments) and not isinstance(failure, click.ClickException):
        say("".join(traceback.format_exception(failure)).rstrip())
    label = "interrupted" if code == INTERRUPTED else "error"
    message = f"{error.where}: {error.message}" if error.where else error.message
    color = _option(arguments, "--color")
    say(paint(f"{label}:", "red", color) + f" {_clean(message)}" + (f"\n  {_clean(error.hint)}" if error.hint else ""))
    if _option(arguments, "--format") == "json":
        _write_document({**error.to_dict(), "code": name})
    return code


def _explained(failure: BaseException, folder: str | None) -> tuple[PicojouleError, int, str]:
    """The failure as one of ours, the exit code, and the code that JSON names; ``folder``: where a job keeps its stages."""
    if isinstance(failure, PicojouleError):
        return failure, failure.exit_code, failure.code
    if isinstance(failure, KeyboardInterrupt | click.Abort):
        where_it_is = "nothing was found yet" if folder is None else f"the same command goes on from {folder}"
        return SystemFailure(where_it_is), INTERRUPTED, "interrupted"
    if isinstance(failure, click.ClickException):
        return _of_click(failure), UsageError.exit_code, UsageError.code
    if isinstance(failure, OSError):
        return of_system(failure), SystemFailure.exit_code, SystemFailure.code
    if isinstance(failure, MemoryError):
        return (
            SystemFailure("out of memory", hint="Try a smaller --batch or fewer --jobs."),
            SystemFailure.exit_code,
            SystemFailure.code,
        )
    what = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
    hint = (
        "This is a bug in picojoule: please report it with the command line. PICOJOULE_DEBUG=1 shows where it happened."
    )
    return SystemFailure(f"internal error: {' '.join(what.split())}", hint=hint), SystemFailure.exit_code, "internal"


def of_system(failure: OSError, doing: str = "") -> SystemFailure:
    """An error of the operating system with what was being done and what may help."""
    reason = failure.strerror or str(failure) or type(failure).__name__
    hint = "Free some space, or write to another place." if failure.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    where = (
        ""
        if failure.filename is None
        else os.fsdecode(failure.filename)
        if not isinstance(failure.filename, int)
        else ""
    )
    return SystemFailure(f"{doing}: {reason}" if doing else reason, where=where, hint=hint)


def _of_click(failure: click.ClickException) -> UsageError:
    context = getattr(failure, "ctx", None)
    path = context.command_path if context else "picojoule"
    return UsageError(failure.format_message().rstrip("."), hint=f"`{path} --help` lists what it takes.")


def _write_document(error: dict[str, str]) -> None:
    import json

    try:
        write_stdout(json.dumps({"error": error}, indent=1, ensure_ascii=False) + "\n", utf8=True)
    except (PicojouleError, OSError):
        # Standard output itself is what failed; stderr has said so.
        return


def _option(arguments: Sequence[str], name: str) -> str | None:
    """The last value of an option on a command line that may be wrong elsewhere."""
    found = None
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == name and i + 1 < len(arguments):
            found = arguments[i + 1]
        elif argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
    return found


def _wants_traceback(arguments: Sequence[str]) -> bool:
    if os.environ.get("PICOJOULE_DEBUG", "") not in ("", "0"):
        return True
    flags = [a for a in arguments if a.startswith("-") and not a.startswith("--")]
    return sum(a.count("v") for a in flags if set(a[1:]) <= set("vq")) + list(arguments).count("--verbose") >= 2


def _clean(text: str) -> str:
    """Text that may come from a file, without what could steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
