"""Networks that the user's Python code makes: ``package.module:factory``."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from picojoule.errors import MissingExtraError, ModelError, UnknownNameError, UsageError, nearest
from picojoule.frontends.torch_trace import is_torch_model

FACTORY = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def find_attribute(name: str, where: str = "") -> Any:
    """What ``package.module:name`` is; the current folder is searched for the package, too.

    Args:
        name: as above.
        where: an option that it was given by, for messages.

    Raises:
        UnknownNameError: there is no such module or attribute.
        UsageError: it has another form.
        ModelError: importing the module fails.
    """
    match = FACTORY.fullmatch(name)
    if match is None:
        raise UsageError(f"{name!r} is no package.module:name", where=where, hint="For example: mymodels.resnet:build")
    place, attribute = match.groups()
    with _current_folder():
        found = _imported(place, name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [entry for entry in dir(found) if not entry.startswith("_")][:50]
            raise UnknownNameError(
                f"{place} has no {attribute!r}", where=name, hint=nearest(part, public) if public else ""
            )
        found = getattr(found, part)
    return found


def call_factory(name: str) -> tuple[Any, Any]:
    """The module that the factory ``package.module:factory`` makes, and its example input or None.

    The current folder is searched for the package, too.

    Raises:
        UnknownNameError: there is no such module or factory.
        UsageError: it is nothing to call.
        ModelError: it fails, or makes something else.
    """
    if FACTORY.fullmatch(name) is None:
        raise UsageError(f"{name!r} is no package.module:factory", hint="For example: mymodels.resnet:build")
    found = find_attribute(name)
    attribute = name.partition(":")[2]
    with _current_folder():
        if not callable(found) or is_torch_model(found):
            made = found
        else:
            try:
                made = found()
            except Exception as problem:  # the user's code: whatever it raises
                raise ModelError(
                    f"{attribute}() raised {type(problem).__name__}: {problem}",
                    where=_last_line(problem) or name,
                    hint="The factory is called without arguments.",
                ) from problem
    example = None
    if isinstance(made, tuple) and len(made) == 2:
        made, example = made
    if not is_torch_model(made):
        raise ModelError(
            f"it made a {type(made).__name__}",
            where=name,
            hint="A factory returns an nn.Module, or (module, example_input).",
        )
    return made, example


def _imported(place: str, name: str) -> Any:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as problem:
        if problem.name and (place == problem.name or place.startswith(f"{problem.name}.")):
            raise UnknownNameError(
                f"there is no Python module {problem.name!r}",
                where=name,
                hint="It is looked for where this Python has its packages, and in the current folder.",
            ) from None
        if problem.name == "torch":
            raise MissingExtraError(
                f"{place} needs PyTorch", where=name, hint="pip install 'picojoule[torch]'"
            ) from None
        raise ModelError(f"{place} needs the module {problem.name!r}, which is not installed", where=name) from problem
    except Exception as problem:  # the user's code: whatever it raises
        raise ModelError(
            f"importing {place} raised {type(problem).__name__}: {problem}", where=_last_line(problem) or name
        ) from problem


def _last_line(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"{problem.filename}:{problem.lineno}"
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames and "importlib" not in frames[-1].filename else ""


@contextmanager
def _current_folder() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
