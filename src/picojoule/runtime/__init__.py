"""What was built, running: bundles, and measured latency and energy. No PyTorch.

    Session        runs a bundle: batches, early exits, top-k, a histogram of latencies
    Answer         what a session answers to a batch
    Dial           several bundles of one network, of which a call takes the one that suits
    Operation      operating points of a bundle, of which a call takes one: α, a target accuracy, a budget of energy
    DriftWarning   samples leave elsewhere than at calibration
    Policy         who decides which samples leave at an exit; ``Confidence`` is the plain one
    Bundle         a bundle that was read and verified: ``read_bundle``
    export_bundle  a network as a bundle
    LatencyTable   latency by layer shape on this machine, kept and interpolated
    diagnose       what can be measured on this machine
    measure        latency, memory and energy of a network on this machine, or on one that a command reaches

Running a bundle needs onnxruntime and numpy, Pillow for images, and onnx for operating points and to run stages faster; a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picojoule.runtime.bundle import Bundle, read_bundle
    from picojoule.runtime.bundle_export import export_bundle
    from picojoule.runtime.diagnosis import diagnose
    from picojoule.runtime.dial import Dial
    from picojoule.runtime.drift import Drift, DriftMonitor, DriftWarning
    from picojoule.runtime.latency_table import LatencyTable
    from picojoule.runtime.measuring import measure
    from picojoule.runtime.operation import OperatingPoint, Operation
    from picojoule.runtime.session import Session
    from picojoule.runtime.session_answer import Answer
    from picojoule.runtime.session_policy import Confidence, Policy

__all__ = [
    "Answer",
    "Bundle",
    "Confidence",
    "Dial",
    "Drift",
    "DriftMonitor",
    "DriftWarning",
    "LatencyTable",
    "OperatingPoint",
    "Operation",
    "Policy",
    "Session",
    "diagnose",
    "export_bundle",
    "measure",
    "read_bundle",
]

_HOMES = {
    "Answer": "picojoule.runtime.session_answer",
    "Bundle": "picojoule.runtime.bundle",
    "Confidence": "picojoule.runtime.session_policy",
    "Dial": "picojoule.runtime.dial",
    "Drift": "picojoule.runtime.drift",
    "DriftMonitor": "picojoule.runtime.drift",
    "DriftWarning": "picojoule.runtime.drift",
    "LatencyTable": "picojoule.runtime.latency_table",
    "OperatingPoint": "picojoule.runtime.operation",
    "Operation": "picojoule.runtime.operation",
    "Policy": "picojoule.runtime.session_policy",
    "Session": "picojoule.runtime.session",
    "diagnose": "picojoule.runtime.diagnosis",
    "export_bundle": "picojoule.runtime.bundle_export",
    "measure": "picojoule.runtime.measuring",
    "read_bundle": "picojoule.runtime.bundle",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'picojoule.runtime' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
