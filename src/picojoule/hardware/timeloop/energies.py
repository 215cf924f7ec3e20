"""Accelergy's tables: what an action of a component costs (ERT) and the area of an instance (ART)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from picojoule.hardware.timeloop.design import Component
from picojoule.hardware.timeloop.fields import Field, LeftOut, check_version, child

_INSTANCES = re.compile(r"\[[^\]]*\]$")
MAC_ACTIONS = ("compute", "mac_random", "mac")
ACCESSES = ("read", "write", "update", "access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The energy table: component → action → energy in pJ of one access of a block."""

    entries: Mapping[str, Mapping[str, Field]]
    field: Field
    used: set[tuple[str, str]] = field(default_factory=set)

    def price(self, component: Component, *actions: str) -> float:
        """The energy of the first of ``actions`` that the table has.

        Raises:
            HardwareError: it has none of them.
        """
        given = self.entries.get(component.name)
        if given is None:
            raise component.field.refused(
                f"{component.name} has no energies in {self.field.origin.name}", "Let Accelergy price this design."
            )
        for action in actions:
            if action in given:
                self.used.add((component.name, action))
                return given[action].number()
        where = next(iter(given.values()))
        raise where.refused(
            f"{component.name} has no energy for {actions[0]}",
            f"It has {', '.join(given)}. Nothing is taken to be free.",
        )

    def note_unused(self, left_out: LeftOut) -> None:
        """Lists the actions that nothing was taken from."""
        for name, actions in self.entries.items():
            unused = [action for action in actions if (name, action) not in self.used]
            if unused and len(unused) == len(actions):
                left_out.note(actions[unused[0]], name, "the architecture has no such component")
            elif unused:
                why = "leakage and the data that pass are not part of a price"
                left_out.note(actions[unused[0]], f"{name}, {', '.join(unused)}", why)


def read_energies(field: Field, left_out: LeftOut) -> Table:
    """The table under ``ERT``. Of the entries of one action the dearest holds, as in Timeloop.

    Raises:
        HardwareError: it is malformed, or prices a component twice.
    """
    entries: dict[str, dict[str, Field]] = {}
    several = False
    top = field.table(("version", "tables"))
    check_version(top)
    for table in child(top, field, "tables").items():
        keys = table.table(("name", "actions"))
        name = last_name(child(keys, table, "name"))
        if name in entries:
            raise keys["name"].refused(f"a second table for {name}", "Components are told apart by their last name.")
        actions = entries.setdefault(name, {})
        for one in child(keys, table, "actions").items():
            given = one.table(("name", "arguments", "energy"))
            energy = child(given, one, "energy")
            if energy.number() < 0:
                raise energy.refused(f"an energy must be at least 0, got {energy.value!r}")
            action = child(given, one, "name").text()
            several = several or action in actions or bool(given.get("arguments") and given["arguments"].value)
            if action not in actions or energy.number() > actions[action].number():
                actions[action] = energy
        if not actions:
            raise table.refused(f"the table of {name} is empty")
    if several:
        left_out.note(
            field, "arguments", "of the entries of an action the dearest holds, whatever the data, as in Timeloop"
        )
    return Table(entries=entries, field=field)


def read_areas(field: Field) -> dict[str, float]:
    """Component → µm² of an instance, from the table under ``ART``.

    Raises:
        HardwareError: it is malformed.
    """
    areas: dict[str, float] = {}
    top = field.table(("version", "tables"))
    check_version(top)
    for table in child(top, field, "tables").items():
        keys = table.table(("name", "area"))
        area = child(keys, table, "area")
        if area.number() < 0:
            raise area.refused(f"an area must be at least 0, got {area.value!r}")
        areas[last_name(child(keys, table, "name"))] = area.number()
    return areas


def last_name(field: Field) -> str:
    """``system.eyeriss.PE[0..167].mac`` → ``mac``."""
    return _INSTANCES.sub("", field.text()).rpartition(".")[2]
