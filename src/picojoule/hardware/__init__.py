"""What a machine is, how it is read from YAML, and the machines that come with picojoule.

``accelerator`` holds the types. ``catalogue`` turns a name or path into a machine: ``document`` reads the YAML
and keeps the line numbers, ``schema`` says which keys there are, ``describe`` checks how they agree and builds
the machine. A new machine is one more file in ``catalog/``.

Energies may come from tables: ``energy_rules`` says what a table's rules make of a memory, ``tables`` reads the files in
``tables/``, ``repricing`` puts a machine at the prices of another one, ``plausible`` refuses prices that can't be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picojoule.hardware.accelerator import Accelerator, Axis, FanOut, Level, MacEnergy
from picojoule.hardware.catalogue import catalogue_names, catalogue_text, load_hardware

if TYPE_CHECKING:
    from picojoule.hardware.describe import accelerator_from_data, accelerator_to_data

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
]


def __getattr__(name: str) -> object:
    # ``describe`` brings in pydantic and ruamel; whoever only needs the types shall not wait for them.
    if name in ("accelerator_from_data", "accelerator_to_data"):
        from picojoule.hardware import describe

        return getattr(describe, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
