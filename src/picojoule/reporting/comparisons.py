"""What ``picojoule compare`` found: on the terminal, as Markdown, CSV and data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from picojoule.reporting.changes import grown_lines, grown_sentences, layer_lines, layer_markdown
from picojoule.reporting.columns import Column, column, rows, spread, to_text, total_width, without_least, wrapped
from picojoule.reporting.figures import NONE, counted, energy, printable, shortened, time_scale
from picojoule.reporting.headline import table_text
from picojoule.reporting.palette import BAD, GOOD
from picojoule.reporting.tables import markdown_table, markdown_text
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.analysis import Compared, Comparison, Ranking

SCHEMA = "picojoule/comparison/1"
CSV_COLUMNS = ("result", "hardware", "table", "unit", "place", "energy_pj", "ratio")
_ALWAYS = 100


def comparison_text(comparison: Comparison, *, width: int, color: bool, every: bool = False) -> str:
    """A line for each result, for each memory and for each layer, what grew, and whether the ranking of machines survives.

    Args:
        comparison: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
        every: show all layers, and not only those that differ most.
    """
    title = Text.assemble((printable(comparison.model), "bold"), f" · batch {comparison.batch}")
    lines = spread(title, Text(f"{len(comparison.results)} results, × is to the first"), width)
    for longest in (44, 30, 22, 16, 12):
        columns = without_least(_columns(comparison, longest), width, _ALWAYS)
        if total_width(columns) <= width:
            break
    lines += [*rows(columns), Text()]
    lines += [*rows(_fitting(_places(comparison), width)), Text()]
    lines += [*layer_lines(comparison, _letters(comparison), width, every=every), Text()]
    for text in comparison.differences:
        lines += wrapped("differ in", [Text(printable(text))], width)
    for text in _altered(comparison):
        lines += wrapped("altered", [Text(text, style=BAD)], width)
    lines += grown_lines(comparison, _letters(comparison), width)
    lines += _rankings(comparison, width)
    return to_text(lines, color=color)


def _letters(comparison: Comparison) -> list[str]:
    """A short name for each result: A … Z, then numbers."""
    return [chr(65 + i) if i < 26 else str(i + 1) for i in range(len(comparison.results))]


def _columns(comparison: Comparison, longest: int) -> list[Column]:
    results = comparison.results

    def texts(head: str, cells: Sequence[str], style: str = "", **more: Any) -> Column:
        return column(head, [(cell, style) for cell in cells], **more)

    def named(names: Sequence[str]) -> list[str]:
        return [shortened(printable(name), longest) for name in names]

    return [
        texts("", _letters(comparison), "bold", right=False, gap=1, worth=_ALWAYS),
        texts("machine", named([r.hardware for r in results]), right=False, gap=1, worth=_ALWAYS),
        texts("table", named([table_text({"name": r.table, "estimated": r.estimated}) for r in results]), right=False, worth=_ALWAYS),
        texts("energy", [energy(r.energy_pj, r.unit) for r in results], worth=_ALWAYS),
        texts("×", [_times(r.energy_ratio) for r in results], worth=_ALWAYS),
        texts("latency", [_latency(r) for r in results], worth=60),
        texts("×", [_times(r.latency_ratio) for r in results], worth=50),
        texts("energy × delay, ×", [_times(r.edp_ratio) for r in results], worth=40),
    ]


def _places(comparison: Comparison) -> list[Column]:
    """Energy at each place, a column for each result; a dash where a machine has no such place."""
    places = _place_names(comparison)
    columns = [column("energy at", [(printable(place), "") for place in places], right=False, gap=1)]
    for letter, result in zip(_letters(comparison), comparison.results, strict=True):
        cells = [_at(result, place) for place in places]
        columns.append(column(letter, [(cell, "") for cell in cells], style_of_head="bold"))
    return columns


def _place_names(comparison: Comparison) -> list[str]:
    """Of all results, memories before arithmetic."""
    names = dict.fromkeys(place for result in comparison.results for place in result.by_level)
    return sorted(names, key=lambda name: name in ("mac", "vector", "leakage"))


def _at(result: Compared, place: str) -> str:
    return energy(result.by_level[place], result.unit) if place in result.by_level else NONE


def _fitting(columns: list[Column], width: int) -> list[Column]:
    """As many of the results as fit, the first ones; all of them stand in CSV and JSON."""
    kept = list(columns)
    while total_width(kept) > width and len(kept) > 2:
        kept.pop()
    return kept


def _rankings(comparison: Comparison, width: int) -> list[Text]:
    if comparison.survives is None:
        hint = "rankings need results of two machines or more under each of two tables or more"
        return wrapped("ranking", [Text(hint, style="dim")], width)
    lines: list[Text] = []
    for i, ranking in enumerate(comparison.rankings):
        text = f"{printable(ranking.table)}: {printable(_order(ranking))}"
        lines += wrapped("" if i else "ranking", [Text(text)], width)
    if comparison.survives:
        return lines + wrapped("answer", [Text(_survival(comparison), style=GOOD)], width)
    return lines + wrapped("answer", [Text(text, style=BAD) for text in _flips(comparison)], width)


def _order(ranking: Ranking) -> str:
    """``a < b = c``."""
    order = ranking.machines[0]
    for before, rank, machine in zip(ranking.ranks, ranking.ranks[1:], ranking.machines[1:], strict=False):
        order += f" {'=' if rank == before else '<'} {machine}"
    return order


def _survival(comparison: Comparison) -> str:
    orders = {_order(ranking) for ranking in comparison.rankings}
    tables = f"{len(comparison.rankings)} tables"
    agree = f"{tables} agree" if len(orders) == 1 else f"no two machines change places under {tables}, some tie"
    return f"the ranking survives the change of table: {agree}"


def _altered(comparison: Comparison) -> list[str]:
    return [
        f"{printable(name)} was changed after it was written: its content hash is another (picojoule verify)"
        for name in comparison.altered
    ]


def _flips(comparison: Comparison) -> list[str]:
    return ["the ranking does not survive the change of table"] + [
        f"{printable(better)} beats {printable(worse)} under {printable(table)}, not under {printable(other)}"
        for better, worse, table, other in comparison.flips
    ]


def _latency(result: Compared) -> str:
    if result.latency_s is not None:
        scale = time_scale([result.latency_s])
        return f"{scale.text(result.latency_s)} {scale.unit}"
    return NONE if result.latency_cycles is None else f"{counted(result.latency_cycles)} cycles"


def _times(ratio: float | None) -> str:
    return NONE if ratio is None else significant(ratio, 3)


def comparison_markdown(comparison: Comparison) -> str:
    """The same two tables and answers as a page."""
    head = ["", "machine", "table", "energy", "×", "latency", "×", "energy × delay, ×"]
    letters = _letters(comparison)
    body = [
        [letter, r.hardware, r.table, energy(r.energy_pj, r.unit), _times(r.energy_ratio), _latency(r)]
        + [_times(r.latency_ratio), _times(r.edp_ratio)]
        for letter, r in zip(letters, comparison.results, strict=True)
    ]
    levels = [[place, *(_at(r, place) for r in comparison.results)] for place in _place_names(comparison)]
    notes = [f"differ in {text}" for text in comparison.differences]
    notes += _altered(comparison)
    notes += [f"{ranking.table}: {_order(ranking)}" for ranking in comparison.rankings]
    if comparison.survives is not None:
        notes += [_survival(comparison)] if comparison.survives else _flips(comparison)
    title = f"## {markdown_text(comparison.model)}, batch {comparison.batch}"
    lines = [title, "", *markdown_table(head, body, left=(0, 1, 2)), ""]
    lines += markdown_table(["energy at", *letters], levels, left=(0,))
    lines += ["", *layer_markdown(comparison, letters)]
    notes = [*grown_sentences(comparison, letters), *notes]
    return "\n".join([*lines, *([""] if notes else []), *(f"- {markdown_text(note)}" for note in notes)]) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """Tidy rows, one for each result × place and one for its total, in full precision; ratios are to the first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    base = comparison.results[0]
    for r in comparison.results:
        for place, value in r.by_level.items():
            other = base.by_level.get(place)
            ratio = value / other if r.unit == base.unit and other else ""
            writer.writerow((r.name, r.hardware, r.table, r.unit, place, value, ratio))
        whole = "" if r.energy_ratio is None else r.energy_ratio
        writer.writerow((r.name, r.hardware, r.table, r.unit, "total", r.energy_pj, whole))
    return stream.getvalue()


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data, its schema first."""
    data = asdict(comparison)
    keys = ("better", "worse", "under", "not_under")
    data["flips"] = [dict(zip(keys, flip, strict=True)) for flip in comparison.flips]
    return {"schema": SCHEMA, **data}
