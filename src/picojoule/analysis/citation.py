"""What to cite for a result: the program, the machine, the energy table and the methods that it used, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from picojoule.result import Estimate
from picojoule.result_file import read_result
from picojoule.version import __version__

_EYEXAM = (
    "article",
    "eyexam",
    {
        "title": "Eyeriss v2: A Flexible Accelerator for Emerging Deep Neural Networks on Mobile Devices",
        "author": "Chen, Yu-Hsin and Yang, Tien-Ju and Emer, Joel and Sze, Vivienne",
        "journal": "arXiv preprint arXiv:1807.07928",
        "year": "2018",
        "note": "Eyexam, in the appendix of version 1: what binds each layer",
    },
)
_TIMELOOP = (
    "inproceedings",
    "timeloop",
    {
        "title": "Timeloop: A Systematic Approach to {DNN} Accelerator Evaluation",
        "author": "Parashar, Angshuman and Raina, Priyanka and Shao, Yakun Sophia and others",
        "booktitle": "IEEE International Symposium on Performance Analysis of Systems and Software",
        "year": "2019",
        "note": "accesses were counted as Timeloop counts them",
    },
)


def cite(result: Estimate | str | Path) -> str:
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
    estimate = result if isinstance(result, Estimate) else read_result(result)
    machine, table = estimate.hardware, estimate.table
    written = str(estimate.provenance.get("version") or __version__)
    entries = [
        (
            "software",
            "picojoule",
            {
                "title": "picojoule: where every joule of a neural network goes",
                "author": "{The picojoule authors}",
                "version": written,
                "note": f"content hash of the result {str(estimate.provenance.get('content_hash', ''))[:16]}",
            },
        ),
        ("misc", "machine", {"title": str(machine["name"]), "note": str(machine.get("description") or "")}),
    ]
    if table.get("name"):
        entries.append(("misc", "energy-table", {"title": str(table["name"]), "note": str(table.get("source") or "")}))
    entries.append(_EYEXAM)
    if estimate.counting == "timeloop":
        entries.append(_TIMELOOP)
    return "\n".join(_entry(*entry) for entry in entries)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name:<9} = {{{_value(name, value)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _value(name: str, text: str) -> str:
    """Text with what BibTeX or TeX would take for its own escaped; our own entries keep their braces."""
    if name in ("author", "booktitle", "journal") or "{DNN}" in text:
        return text
    return "".join(_ESCAPES.get(c, c) for c in text if c.isprintable())


def _escapes(characters: Iterable[str]) -> dict[str, str]:
    return {c: f"\\{c}" for c in characters}


_ESCAPES = _escapes("&%$#_{}") | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
