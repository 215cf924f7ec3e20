"""What the scripts of results/ write beside themselves: lines of claims.json, tables in READMEs, weights as float16."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picojoule.atomic_file import replace_file

MARKS = ("<!-- printed by measure.py -->", "<!-- end -->")
TOLERANCES = {"points": 0.05, "%": 0.05}
"""By unit: how far a figure that is measured again may be from the one that is written down. Of ratios and shares a thousandth."""


def claim(
    name: str, value: float, unit: str, aim: str, holds: bool | None, *, artefact: str, command: str, kind: str = "sampled"
) -> dict[str, Any]:
    """A line of claims.json.

    Args:
        name: of the figure, with the folder's in front: ``tickets.digits.lost``.
        value: as measured, not rounded.
        unit: of the value.
        aim: what it was to be, in words.
        holds: whether it is; None: nothing was aimed for.
        artefact: the file that it comes from, from the root of the checkout.
        command: what measures it anew.
        kind: how far it would be the same: ``exact``, ``sampled`` (of the same weights on the same images), ``timing``, ``trained``.
    """
    verdict = "measured" if holds is None else "holds" if holds else "does not hold"
    return {
        "id": name, "value": value, "tolerance": TOLERANCES.get(unit, 1e-3), "unit": unit, "kind": kind, "aim": aim, "verdict": verdict,
        "artefact": artefact, "command": command,
    }  # fmt: skip


def write_table(readme: Path, table: str) -> None:
    """Puts Markdown between the marks of a README.

    Raises:
        ValueError: the marks are not there, once each and in this order.
    """
    text = readme.read_text(encoding="utf-8")
    head, begin, rest = text.partition(MARKS[0])
    _, end, tail = rest.partition(MARKS[1])
    if not begin or not end or MARKS[0] in rest:
        raise ValueError(f"{readme} has no {' … '.join(MARKS)}")
    replace_file(readme, f"{head}{begin}\n{table}\n{end}{tail}")


def halves(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors as arrays, floats as float16; without BatchNorm's counters, which decide nothing."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
