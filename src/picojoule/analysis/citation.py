"""What to cite for a result: the program, and the papers behind the machine, the energy table and the methods, as BibTeX.

The papers lie in ``papers.bib``, each with what it is behind. A machine or table that no paper there is behind is cited by its own
name and source, so that a new machine needs no second file.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from importlib import resources

from picojoule.analysis.subjects import read_subject
from picojoule.result import Estimate
from picojoule.version import __version__

_USED_BY = re.compile(r"^  used-by *= \{([^}]*)\},\n", re.MULTILINE)
_ESCAPES = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """An entry of ``papers.bib``: its text without ``used-by``, and what that names."""

    text: str
    used_by: tuple[str, ...]


@functools.cache
def papers() -> tuple[Paper, ...]:
    """Every entry of ``papers.bib``, in its order."""
    source = resources.files(__package__).joinpath("papers.bib").read_text(encoding="utf-8")
    found = []
    for entry in re.split(r"\n(?=@)", source)[1:]:
        used = _USED_BY.search(entry)
        assert used is not None, entry
        found.append(Paper(text=_USED_BY.sub("", entry).strip() + "\n", used_by=tuple(used[1].split())))
    return tuple(found)


def cite(result: Estimate | str | os.PathLike[str]) -> str:
    """BibTeX of what a result rests on: picojoule, the machine, its energy table, and the methods that were used.

    Args:
        result: an ``Estimate`` or its file.

    Raises:
        ResultFileError, SystemFailure: the file can't be read, or holds no result.

    Example:
        >>> import picojoule
        >>> result = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")
        >>> picojoule.cite(result).splitlines()[0]
        '@software{picojoule,'
    """
    estimate, _ = read_subject(result)
    machine, table = str(estimate.hardware["name"]), str(estimate.table.get("name") or "")
    wanted = {f"machine:{machine.partition(':')[0]}", f"table:{table}", "method:eyexam", "method:datasheet"}
    if estimate.counting == "timeloop":
        wanted.add("method:timeloop-counting")
    written = str(estimate.provenance.get("version") or __version__)
    sealed = str(estimate.provenance.get("content_hash") or "")
    entries = [
        _entry(
            "software",
            "picojoule",
            title="picojoule: where every joule of a neural network goes",
            author="{The picojoule authors}",
            version=written,
            note=f"content hash of the result {sealed[:16]}" if sealed else "",
        ),
        _entry("misc", "machine", title=_plain(machine), note=_plain(str(estimate.hardware.get("description") or ""))),
    ]
    if table:
        entries.append(
            _entry("misc", "energy-table", title=_plain(table), note=_plain(str(estimate.table.get("source") or "")))
        )
    entries += [paper.text for paper in papers() if wanted & set(paper.used_by)]
    return "\n".join(entries)


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {name:<9} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _plain(text: str) -> str:
    """Text from a file, with what BibTeX or TeX would take for its own escaped."""
    return "".join(_ESCAPES.get(c, c) for c in text if c.isprintable())
