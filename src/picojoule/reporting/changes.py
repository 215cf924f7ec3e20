"""What changed from one result of a network to another: layer by layer, and in the figures that were limited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from picojoule.reporting.columns import Column, column, rows, total_width, wrapped
from picojoule.reporting.figures import NONE, Scale, energy_scale, printable, shortened
from picojoule.reporting.palette import BAD, GOOD
from picojoule.reporting.tables import markdown_table

if TYPE_CHECKING:
    from picojoule.analysis import Comparison
    from picojoule.analysis.compared_layers import ComparedLayer
    from picojoule.analysis.regressions import Regression

_SHOWN = 10
_SAME = 5e-4
"""A relative change below this reads 0.0 %."""


def layer_lines(comparison: Comparison, letters: Sequence[str], width: int, *, every: bool) -> list[Text]:
    """The layers that differ most, and how many more there are; as many of the results as fit.

    Args:
        comparison: whose layers to show.
        letters: names of the results.
        width: of the terminal in characters.
        every: all layers, in the order of the network.
    """
    layers = list(comparison.layers) if every else _by_difference(comparison)[:_SHOWN]
    scales = _scales(comparison)
    for longest in (44, 30, 22, 16):
        columns = [column("layer", [(shortened(printable(x.name), longest), "") for x in layers], right=False, gap=1)]
        for i, letter in enumerate(letters):
            head = f"{letter} {scales[i].unit}"
            columns.append(column(head, [(scales[i].text(x.energies_pj[i]), "") for x in layers], style_of_head="bold"))
            if i and comparison.results[i].unit == comparison.results[0].unit:
                columns.append(column("change", [_painted(x, i, comparison) for x in layers]))
        if total_width(columns) <= width:
            break
    lines = rows(_fitting(columns, width))
    left = len(comparison.layers) - len(layers)
    if left:
        less = " differ less" if _one_unit(comparison) else ""
        lines.append(Text(f" … {left} more{less}: -v shows all", style="dim"))
    return lines


def _fitting(columns: list[Column], width: int) -> list[Column]:
    kept = list(columns)
    while total_width(kept) > width and len(kept) > 4:
        if kept.pop().head == "change":
            kept.pop()
    return kept


def _scales(comparison: Comparison) -> list[Scale]:
    """One for all results of a unit, so that their figures compare at a glance."""
    return [
        energy_scale(
            [
                x.energies_pj[j]
                for x in comparison.layers
                for j, r in enumerate(comparison.results)
                if r.unit == result.unit
            ],
            result.unit,
        )
        for result in comparison.results
    ]


def _by_difference(comparison: Comparison) -> list[ComparedLayer]:
    """The layers whose energy changes most from the first result to any other in the same unit."""

    def difference(layer: ComparedLayer) -> float:
        first = layer.energies_pj[0] or 0.0
        return max(abs((energy or 0.0) - first) for energy in layer.energies_pj[1:]) if _one_unit(comparison) else first

    return sorted(comparison.layers, key=difference, reverse=True)


def _one_unit(comparison: Comparison) -> bool:
    return len({result.unit for result in comparison.results}) == 1


def change_of(layer: ComparedLayer, index: int, comparison: Comparison) -> float | None:
    """Relative, from the first result to that of ``index``; None where one of them lacks the layer, or units differ."""
    before, after = layer.energies_pj[0], layer.energies_pj[index]
    if not before or after is None or comparison.results[index].unit != comparison.results[0].unit:
        return None
    return after / before - 1


def _painted(layer: ComparedLayer, index: int, comparison: Comparison) -> tuple[str, str]:
    text, change = _change_text(layer, index, comparison), change_of(layer, index, comparison)
    style = "" if change is None or abs(change) < _SAME else BAD if change > 0 else GOOD
    return text, style


def _change_text(layer: ComparedLayer, index: int, comparison: Comparison) -> str:
    change = change_of(layer, index, comparison)
    if change is not None:
        return signed(change)
    before, after = layer.energies_pj[0], layer.energies_pj[index]
    return "new" if before is None and after is not None else "gone" if after is None and before is not None else NONE


def signed(change: float) -> str:
    """``+3.1 %``, ``−2.0 %``; ``0.0 %`` for less than half a tenth of a percent."""
    if abs(change) < _SAME:
        return "0.0 %"
    return f"{100 * change:+.1f} %".replace("-", "−") if abs(change) < 10 else f"{1 + change:.3g}×"


def layer_markdown(comparison: Comparison, letters: Sequence[str]) -> list[str]:
    """All layers, those that differ most first."""
    scales = _scales(comparison)
    head = ["layer"]
    for i, letter in enumerate(letters):
        head += [f"{letter} {scales[i].unit}", *(["change"] if i else [])]
    body = []
    for layer in _by_difference(comparison):
        row = [layer.name]
        for i in range(len(letters)):
            row += [scales[i].text(layer.energies_pj[i]), *([_change_text(layer, i, comparison)] if i else [])]
        body.append(row)
    return markdown_table(head, body, left=(0,))


def grown_lines(comparison: Comparison, letters: Sequence[str], width: int) -> list[Text]:
    """What became of every figure that was limited."""
    lines: list[Text] = []
    for one, sentence in zip(comparison.regressions, grown_sentences(comparison, letters), strict=True):
        lines += wrapped("limit", [Text(sentence, style=BAD if one.failed else GOOD)], width)
    return lines


def grown_sentences(comparison: Comparison, letters: Sequence[str]) -> list[str]:
    """A sentence for each limit and result."""
    return [_grown(one, letters) for one in comparison.regressions]


def _grown(one: Regression, letters: Sequence[str]) -> str:
    limit = f"{100 * one.limit:+.4g} %".replace("-", "−") if one.limit else "0 %"
    name, first = letters[one.result], letters[0]
    if one.change is None:
        return f"✗ {one.figure} of {name} can't be compared with that of {first}: it isn't known to keep the limit of {limit}"
    exact = f"{100 * one.change:+.3g} %".replace("-", "−")
    if one.failed:
        return f"✗ {one.figure} of {name} is {exact} against {first}: the limit is {limit}"
    return f"✓ {one.figure} of {name} is {exact} against {first}, within {limit}"
