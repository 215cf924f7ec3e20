"""What was built, running: measured latency and energy, bundles, sessions. No torch.

    measure       latency, memory and energy of a network on this machine, or on one that a command reaches
    diagnose      what can be measured here
    LatencyTable  latency by layer shape, kept and interpolated

A name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picojoule.runtime.diagnosis import diagnose
    from picojoule.runtime.latency_table import LatencyTable
    from picojoule.runtime.measuring import measure

__all__ = ["LatencyTable", "diagnose", "measure"]

_HOMES = {
    "LatencyTable": "picojoule.runtime.latency_table",
    "diagnose": "picojoule.runtime.diagnosis",
    "measure": "picojoule.runtime.measuring",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'picojoule.runtime' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
