"""What a result can be turned into: a file of this package for each target, which holds a ``TARGET``.

A new target is a new file here; command line and Python find it.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file, replaced
from picojoule.errors import OutputExistsError, UnknownNameError, UsageError, nearest
from picojoule.reporting.exports.target import Option, Source, Target, as_path
from picojoule.result import Estimate

__all__ = ["Option", "Target", "checked_sources", "export", "target_of", "targets", "written"]

PLAIN_WIDTH = 110


@functools.cache
def targets() -> dict[str, Target]:
    """Every target by its name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        one = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TARGET", None)
        if one is not None:
            found[one.name] = one
    return dict(sorted(found.items()))


def target_of(name: str) -> Target:
    """The target of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in targets():
        raise UnknownNameError(f"nothing can be exported to {name!r}", where="to", hint=nearest(name, targets()))
    return targets()[name]


def export(
    source: Source | Sequence[Source], *, to: str, output: str | os.PathLike[str], force: bool = False, **options: Any
) -> Path:
    """Writes a result in a form that others take.

    Args:
        source: a result (an ``Estimate`` or its file), or several of them where the target takes several.
        to: ``datasheet``, ``csv``, ``parquet``, ``onnx``, ``bibtex``, or another of ``targets``.
        output: the file to write.
        force: replace what is there.
        options: of the target; for a datasheet also ``form`` (``table``, ``md``, ``csv``, ``json``).

    Returns:
        The path of ``output``.

    Raises:
        UnknownNameError: there is no such target.
        UsageError: an argument that the target doesn't have, more sources than it takes, or an output that would replace one.
        OutputExistsError: the output is there, and ``force`` wasn't given.
        PicojouleError: as the target.

    Example:
        >>> import picojoule, tempfile
        >>> result = picojoule.estimate("merkel:L1", hardware="eyeriss-v1")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = picojoule.export(result, to="csv", output=f"{folder}/layers.csv").read_text()
        >>> text.splitlines()[0]
        'model,hardware,batch,table,estimated,unit,layer,kind,status,level,tensor,energy_pj,reads,writes,updates,bits,metadata_bits,raw_pj'
    """
    target, path = target_of(to), Path(output)
    sources = checked_sources(target, source)
    form = options.pop("form", target.forms[0] if target.forms else "")
    if form not in (target.forms or ("",)):
        raise UsageError(f"{to} has no form {form!r}", where="form", hint=nearest(str(form), target.forms))
    known = {option.name for option in target.options}
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        hint = nearest(unknown, known) if known else "It takes none."
        raise UsageError(f"{to} takes no argument {unknown!r}", where=to, hint=hint)
    if not target.folder and path.is_file() and not force:
        raise OutputExistsError(f"{path} exists", where="output", hint="force=True overwrites it.")
    inputs = [file for file in map(as_path, sources) if file is not None]
    if replaced(path, inputs) is not None:
        raise UsageError(f"{path} is an input", where="output", hint="Name another file.")
    if target.text is not None:
        replace_file(path, target.text(sources, form=form, width=PLAIN_WIDTH, color=False, **options))
    else:
        written(target, sources, path, form=form, width=PLAIN_WIDTH, color=False, force=force, **options)
    return path


def written(
    target: Target,
    sources: tuple[Source, ...],
    output: Path,
    *,
    form: str,
    width: int,
    color: bool,
    force: bool,
    **options: Any,
) -> str:
    """Lets a target write its file or folder; returns what it tells the user about it."""
    assert target.write is not None
    if target.forms:
        options |= {"form": form, "width": width, "color": color}
    if target.folder:
        options["force"] = force
    return target.write(sources, output, **options)


def checked_sources(target: Target, source: Source | Sequence[Source]) -> tuple[Source, ...]:
    """The sources, as many as the target takes.

    Raises:
        UsageError: none, or more than one where it takes one.
    """
    sources = (source,) if isinstance(source, Estimate | str | os.PathLike) else tuple(source)
    if not sources or (len(sources) > 1 and not target.several):
        raise UsageError(f"{target.name} takes one source, got {len(sources)}", hint="Export them one by one.")
    return sources
