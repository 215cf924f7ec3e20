"""A network that was given exits: on the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from picojoule.reporting.columns import column, rows, spread, to_text, without_least, wrapped
from picojoule.reporting.figures import grouped, printable
from picojoule.reporting.palette import GOOD
from picojoule.units import significant

if TYPE_CHECKING:
    from picojoule.exits import Added, CrossFitted, Measured


def added_exits_text(added: Added, *, width: int, color: bool) -> str:
    """What every exit takes and knows, the places that were tried, and what all of it saves.

    Args:
        added: to show.
        width: of the terminal in characters.
        color: colours by escape sequences.
    """
    less = f"{added.saved:.1%} less energy" if added.saved >= 0 else f"{-added.saved:.1%} more energy"
    where = f" than the network alone, at accuracy {added.test.accuracy:.4f} on test images"
    title = Text.assemble((printable(added.model), "bold"), " · ", (less, "bold"), where)
    lines = spread(title, Text(f"alone {added.accuracy_alone:.4f} · {added.hardware}"), width)
    lines += _exits(added, width)
    if added.probes:
        lines += [Text(), Text("tried, each alone with the last exit", style="dim"), *_probes(added, width)]
    lines.append(Text())
    asked = f"asking {', '.join(printable(name) for name in added.asked)}"
    target = f"target {added.target_accuracy:.4f}: {added.lose:g} points below the last exit, choosing"
    how = [asked, "rule margin, combined" if added.combined else "rule margin", target]
    lines += wrapped("thresholds", [Text(part) for part in how], width)
    chosen = [*_on(added.choosing, added), "cross-fitted", f"{grouped(added.choosing.images, 0)} images"]
    lines += wrapped("choosing", [Text(part) for part in chosen], width)
    shares = "leave at the exits: " + " ".join(f"{share:.0%}" for share in added.test.shares)
    tested = [*_on(added.test, added), shares, f"{grouped(added.test.images, 0)} images"]
    lines += wrapped("test", [Text(part) for part in tested], width)
    for note in added.notes:
        lines += wrapped("note", [Text(printable(note))], width)
    folder = printable(added.folder)
    data, energies = f"{folder}/{added.files['choose']}", f"--energies {folder}/{added.files['energies']}"
    # Rounded downwards, so that it can be met.
    target = f"--target-accuracy {math.floor(added.target_accuracy * 1e4) / 1e4:.4f}"
    how = "--rule margin --combine" if added.combined else "--rule margin"
    decide = f"picojoule exits decide {data} {energies} {target} {how} --ask best --test {folder}/{added.files['test']}"
    bundle = f"{folder}/{added.files['bundle']}"
    lines += wrapped("next", [Text(decide)], width)
    lines += wrapped("", [Text(f"picojoule exits deploy {bundle} --choosing {data} {energies} {how} -o adaptive.bundle")], width)
    lines += wrapped("", [Text(f"picojoule report {folder}/{added.files['result']} -o {Path(added.folder).name}.html")], width)
    return to_text(lines, color=color)


def _exits(added: Added, width: int) -> list[Text]:
    exits = added.exits
    columns = [
        column("exit after", [(printable(one.name), "bold") for one in exits], right=False, gap=1),
        column(f"energy {added.unit}", [(_energy(one.energy), "") for one in exits]),
        column("of alone", [(f"{one.energy / added.alone:.1%}", "") for one in exits]),
        column("head", [(f"{one.head_energy / added.alone:.1%}" if one.head else "", "") for one in exits]),
        column("accuracy", [(f"{one.accuracy:.4f}", "") for one in exits]),
        column("layers of the head", [(one.head, "") for one in exits], right=False, worth=10),
    ]
    return rows(without_least(columns, width, 100))


def _probes(added: Added, width: int) -> list[Text]:
    probes = added.probes
    styles = [GOOD if one.rank is not None else "" for one in probes]

    def cells(values: list[str]) -> list[tuple[str, str]]:
        return list(zip(values, styles, strict=True))

    columns = [
        column("after", cells([printable(one.place) for one in probes]), right=False, gap=1),
        column("of alone", cells([f"{one.energy / added.alone:.1%}" for one in probes])),
        column("head", cells([f"{one.head_energy / added.alone:.1%}" for one in probes])),
        column("accuracy", cells([f"{one.accuracy:.4f}" for one in probes])),
        column("would save", cells([f"{one.saved:.1%}" for one in probes])),
        column(
            "taken", cells(["" if one.rank is None else f"{one.rank}. together {one.saved_with:.1%}" for one in probes]), right=False
        ),
    ]
    return rows(without_least(columns, width, 100))


def _on(found: Measured | CrossFitted, added: Added) -> list[str]:
    return [
        f"accuracy {found.accuracy:.4f}",
        f"energy {_energy(found.energy)} {added.unit}",
        f"{found.energy / added.alone:.1%} of alone",
    ]


def _energy(value: float) -> str:
    return grouped(value, 0) if value >= 100 else significant(value)
