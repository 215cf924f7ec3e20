"""A machine with some fields of its description set to other values: ``shared_glb.capacity``, ``PE.axes.x``, ``clock``.

A field is named by the keys that lead to it; entries of the hierarchy are named by what they are called. What follows from
the field follows from its new value: energies from a table, where the description leaves them to one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from picojoule.errors import HardwareError, nearest
from picojoule.hardware import document
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.catalogue import catalogue_text, is_file, parted
from picojoule.hardware.describe import accelerator_from_plain
from picojoule.hardware.document import Origin
from picojoule.hardware.schema import FanOutEntry, LatchEntry, LevelEntry, MachineEntry

_NAMES = ("level", "latch", "fanout")
_ENTRIES = {"level": LevelEntry, "latch": LatchEntry, "fanout": FanOutEntry}


class Description:
    """A description that machines are made from, each with fields of its own.

    Args:
        name_or_path: as for ``load_hardware``.

    Raises:
        UnknownNameError, HardwareError, SystemFailure: as for ``load_hardware``.
    """

    def __init__(self, name_or_path: str | Path) -> None:
        name, self.chosen = parted(str(name_or_path))
        path = Path(name)
        text, where = (
            (document.read_text(path), str(path)) if is_file(name_or_path, name) else (catalogue_text(name), f"{name}.yaml (built in)")
        )
        self.data, self.origin = document.parse(text, where)

    def machine(self, settings: Mapping[str, object]) -> Accelerator:
        """The machine with these fields set.

        Prices that a description may not state (``plausible``) are let through: what a capacity does by itself is a question
        that sweeps ask.

        Args:
            settings: path of a field → value.

        Raises:
            HardwareError: there is no such field, or the machine is not sound with that value.
        """
        data = copy.deepcopy(self.data)
        for path, value in settings.items():
            _set(data, path, value)
        # The lines of the file say nothing of values that aren't there.
        return accelerator_from_plain(data, Origin(self.origin.name), self.chosen)


def _set(data: object, path: str, value: object) -> None:
    first, *rest = path.split(".")
    table = data
    keys = [first, *rest]
    if isinstance(data, dict):
        entry = next((one for one in _hierarchy(data) if any(one.get(kind) == first for kind in _NAMES)), None)
        if entry is not None:
            if not rest:
                raise HardwareError(f"{first} is an entry of the hierarchy", where=path, hint=f"Name a field: {first}.capacity.")
            kind = next(kind for kind in _NAMES if kind in entry)
            _known(rest[0], _ENTRIES[kind].model_fields, path)
            table, keys = entry, rest
        else:
            names = [str(one[kind]) for one in _hierarchy(data) for kind in _NAMES if kind in one]
            _known(first, [*names, *MachineEntry.model_fields, "parameters"], path)
    for key in keys[:-1]:
        inner = table.get(key) if isinstance(table, dict) else None
        if not isinstance(inner, dict):
            held = "is missing" if inner is None else f"is {inner!r}, no table"
            raise HardwareError(f"{key!r} {held} in the description", where=path, hint=f"Set {key} as a whole.")
        table = inner
    last = keys[-1]
    held = table.get(last) if isinstance(table, dict) else None
    if isinstance(held, dict) and "size" in held and not isinstance(value, dict):
        table, last = held, "size"  # an axis that also says which dimensions it takes
    if isinstance(table, dict):
        if keys[0] == "parameters" and last not in table:
            _known(last, table, path)
        table[last] = value


def _hierarchy(data: dict[str, object]) -> list[dict[str, object]]:
    entries = data.get("hierarchy")
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _known(key: str, allowed: object, path: str) -> None:
    names = [str(name) for name in allowed]  # type: ignore[attr-defined]
    if key not in names:
        raise HardwareError(f"the machine has no field {key!r}", where=path, hint=nearest(key, names))
