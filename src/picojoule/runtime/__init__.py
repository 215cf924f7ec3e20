"""What was built, running: bundles, and measured latency and energy. No PyTorch.

    Session        runs a bundle: batches, early exits, top-k, a histogram of latencies
    Answer         what a session answers to a batch
    Policy         who decides which samples leave at an exit; ``Confidence`` is the plain one
    Bundle         a bundle that was read and verified: ``read_bundle``
    export_bundle  a network as a bundle

Running a bundle needs onnxruntime and numpy, and Pillow for images; a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picojoule.runtime.bundle import Bundle, read_bundle
    from picojoule.runtime.bundle_export import export_bundle
    from picojoule.runtime.session import Answer, Session
    from picojoule.runtime.session_policy import Confidence, Policy

__all__ = ["Answer", "Bundle", "Confidence", "Policy", "Session", "export_bundle", "read_bundle"]

_HOMES = {
    "Answer": "picojoule.runtime.session",
    "Bundle": "picojoule.runtime.bundle",
    "Confidence": "picojoule.runtime.session_policy",
    "Policy": "picojoule.runtime.session_policy",
    "Session": "picojoule.runtime.session",
    "export_bundle": "picojoule.runtime.bundle_export",
    "read_bundle": "picojoule.runtime.bundle",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'picojoule.runtime' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
