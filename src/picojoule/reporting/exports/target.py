"""What a target of ``export`` is: a form, its options, and the function that makes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picojoule.result import Estimate

Source = Estimate | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An argument of a target, which is a flag on the command line.

    Attributes:
        name: of the argument; the flag has dashes.
        metavar: stands for the value in help.
        help: one sentence.
        parse: text → value, raises UsageError; None for a text.
        choices: the values allowed, where they are few.
        path: whether it names a file that is read.
        several: whether it may be repeated; then a tuple.
        flag: whether it takes no value.
        default: where it is not given.
    """

    name: str
    metavar: str = ""
    help: str
    parse: Callable[[str], Any] | None = None
    choices: tuple[str, ...] = ()
    path: bool = False
    several: bool = False
    flag: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A form that something is exported to. One of ``text`` and ``write`` is there.

    Attributes:
        name: as in ``--to``.
        meaning: one sentence.
        several: whether it takes more than one source.
        options: its own arguments.
        forms: of its text, or of what it reports of the file or folder, the default first; empty where there is one.
        folder: whether its output is a folder; then ``write`` is told ``force``, too, and refuses what is there itself.
        text: sources and arguments (``form``, ``width`` and ``color``, and its own) → text.
        write: sources, output and its own arguments, with ``forms`` also those of ``text`` → what to tell the user about it.
    """

    name: str
    meaning: str
    several: bool = False
    options: tuple[Option, ...] = ()
    forms: tuple[str, ...] = ()
    folder: bool = False
    text: Callable[..., str] | None = None
    write: Callable[..., str] | None = None


def one_of(sources: tuple[Source, ...]) -> Source:
    """The only source; how many there are was checked before."""
    (source,) = sources
    return source


def as_path(source: Source) -> Path | None:
    """The file of a source, where it is one."""
    return None if isinstance(source, Estimate) else Path(source)
