"""Tickets on the terminal: every training with its controls, and what each kind of ticket takes on each machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from picojoule.reporting.columns import column, rows, without_least, wrapped
from picojoule.reporting.figures import percent
from picojoule.reporting.ladder import points
from picojoule.units import energy_text, significant

_CONTROLS = ("reinitialised", "random mask")


def tickets_lines(tickets: Mapping[str, Any], width: int) -> list[Text]:
    """The lines below those of the result.

    Args:
        tickets: of ``Compression.tickets``.
        width: of the terminal.
    """
    return [*_trainings(tickets["rows"]), Text(), *_found(tickets, width), Text(), *_energies(tickets, width)]


def _trainings(trained: Sequence[Mapping[str, Any]]) -> list[Text]:
    dense = trained[0]["accuracy"]

    def cells(say: Any) -> list[tuple[str, str]]:
        return [(say(row), "dim" if row["what"] in _CONTROLS else "") for row in trained]

    return rows(
        [
            column("trained", cells(lambda row: row["what"]), right=False, gap=1),
            column("of", cells(lambda row: row["kind"]), right=False),
            column("round", cells(lambda row: str(row["round"] or ""))),
            column("left", cells(lambda row: percent(row["share"]))),
            column("accuracy", cells(lambda row: f"{row['accuracy']:.2%}")),
            column("against dense", cells(lambda row: points(row["accuracy"] - dense) if row["kind"] else "")),
        ]
    )


def _found(tickets: Mapping[str, Any], width: int) -> list[Text]:
    """What the last ticket of each kind is worth against the whole network and its controls, in words."""
    lines = []
    dense = tickets["rows"][0]["accuracy"]
    for kind in tickets["met"]:
        own = [row for row in tickets["rows"] if row["kind"] == kind]
        last = [row for row in own if row["what"] == "ticket"][-1]
        against = {row["what"]: last["accuracy"] - row["accuracy"] for row in own if row["what"] in _CONTROLS}
        said = [
            f"{percent(last['share'])} of the weights",
            f"{points(last['accuracy'] - dense)} against the whole network",
            *(f"{points(difference)} against {what}" for what, difference in against.items()),
        ]
        lines += wrapped(kind, [Text(part) for part in said], width)
    step = tickets["rewind"]
    lines += wrapped(
        "went back to", [Text("the first weights" if not step else f"step {step}")], width, indent=14
    )
    return lines


def _energies(tickets: Mapping[str, Any], width: int) -> list[Text]:
    found = tickets["energies"]
    kinds = [kind for kind in found[0]["energy"] if kind != "dense"]
    columns = [
        column("machine", [(row["machine"], "") for row in found] + [("time, measured", "")], right=False, gap=1),
        column("zeros", [("spared" if row["minds_zeros"] else "cost all", "") for row in found] + [("", "")], right=False, worth=50),
        column("dense", [(energy_text(row["energy"]["dense"], row["unit"], 3), "") for row in found] + [("", "")]),
    ]
    for kind in kinds:
        before, own = tickets["milliseconds"][kind]
        columns.append(
            column(
                kind,
                [
                    (f"{energy_text(row['energy'][kind], row['unit'], 3)}  {row['energy'][kind] / row['energy']['dense']:4.0%}", "")
                    for row in found
                ]
                + [(f"{significant(own)} ms  {own / before:4.0%}", "")],
            )
        )
    return rows(without_least(columns, width, 100))


