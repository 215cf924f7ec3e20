"""Where every joule of a neural network goes, how far that is from the floor, and how to spend less.

    estimate       the best way to run a network on a machine, with proof
    verify         re-check a result with independent code
    explain        what binds each layer of a result: Eyexam's steps, rooflines, stalls, reuse
    check          whether a network on a machine meets what is required: accuracy, speed, energy, cost
    report         a page about a result, as one HTML file that loads nothing
    cite           BibTeX of what a result rests on
    compare        results of one network side by side, and whether a ranking of machines survives another energy table
    export         a result as datasheet, CSV, Parquet, annotated ONNX or BibTeX
    prune          fewer weights or channels, within a budget
    quantize       fewer bits: INT8, or 2 to 8 by layer
    adapt          fewer channels, step by step, as measurements or a model say
    load_hardware  a machine from the catalogue or a YAML file
    load_model     a network from a built-in name, a file (ONNX, torch.export, layer table) or an nn.Module
    measure        latency, memory and energy of a network, measured here or through a command
    Estimate       what ``estimate`` returns, and its file
    Compression    what ``prune``, ``quantize`` and ``adapt`` return, and its file
    Exact          how far the search goes: gap and limits
    PicojouleError the root of every exception raised on purpose; its tree is in ``picojoule.errors``

A name is loaded when it is first used, so that ``import picojoule`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from picojoule.errors import PicojouleError
from picojoule.version import __version__

if TYPE_CHECKING:
    from picojoule.analysis import check, cite, compare, explain
    from picojoule.compress import Compression, adapt, prune, quantize
    from picojoule.estimation import estimate
    from picojoule.frontends import load_model
    from picojoule.hardware import load_hardware
    from picojoule.reporting.page import report
    from picojoule.reporting.exports import export
    from picojoule.result import Estimate
    from picojoule.runtime import measure
    from picojoule.search import Exact
    from picojoule.verification import verify


__all__ = [
    "Compression",
    "Estimate",
    "Exact",
    "PicojouleError",
    "adapt",
    "check",
    "cite",
    "compare",
    "estimate",
    "explain",
    "export",
    "load_hardware",
    "load_model",
    "measure",
    "prune",
    "quantize",
    "report",
    "verify",
]

_HOMES = {
    "Compression": "picojoule.compress",
    "Estimate": "picojoule.result",
    "Exact": "picojoule.search",
    "adapt": "picojoule.compress",
    "check": "picojoule.analysis",
    "cite": "picojoule.analysis",
    "compare": "picojoule.analysis",
    "estimate": "picojoule.estimation",
    "explain": "picojoule.analysis",
    "export": "picojoule.reporting.exports",
    "load_hardware": "picojoule.hardware",
    "load_model": "picojoule.frontends",
    "measure": "picojoule.runtime",
    "prune": "picojoule.compress",
    "quantize": "picojoule.compress",
    "report": "picojoule.reporting.page",
    "verify": "picojoule.verification",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'picojoule' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
