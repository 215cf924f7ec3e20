"""What a machine is, how it is read from YAML, and the machines that come with picojoule.

``accelerator`` holds the types. ``catalogue`` turns a name or path into a machine: ``document`` reads the YAML
and keeps the line numbers, ``schema`` says which keys there are, ``describe`` checks how they agree and builds
the machine; ``writing`` writes it as YAML. ``timeloop`` imports designs of Timeloop. A new machine is one more file in
``catalog/``.

Energies may come from tables: ``energy_rules`` says what a table's rules make of a memory, ``tables`` reads the files
in ``tables/``, ``pricing`` takes them where a description names a table, ``repricing`` puts a machine at the prices of
another one, ``plausible`` refuses prices that can't be. ``changes`` makes a machine with one thing changed, for what-ifs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level
from picojoule.hardware.catalogue import catalogue_names, catalogue_text, load_hardware
from picojoule.hardware.mac import MacEnergy

if TYPE_CHECKING:
    from picojoule.hardware.describe import accelerator_from_data, accelerator_to_data
    from picojoule.hardware.repricing import reprice
    from picojoule.hardware.tables import load_table, table_names

__all__ = [
    "Accelerator",
    "Axis",
    "FanOut",
    "Level",
    "MacEnergy",
    "accelerator_from_data",
    "accelerator_to_data",
    "catalogue_names",
    "catalogue_text",
    "load_hardware",
    "load_table",
    "reprice",
    "table_names",
]

_HEAVY = {
    "accelerator_from_data": "describe",
    "accelerator_to_data": "describe",
    "load_table": "tables",
    "reprice": "repricing",
    "table_names": "tables",
}


def __getattr__(name: str) -> object:
    # These bring in pydantic and ruamel; whoever only needs the types shall not wait for them.
    if name in _HEAVY:
        return getattr(importlib.import_module(f"picojoule.hardware.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
