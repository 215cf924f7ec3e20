"""The experiments of the energy complexity model, run again: how energy grows with a layer's parameters.

``sweeps`` says which layers; ``reference`` reads what the authors measured; ``points`` searches every layer, over
processes and through a journal; ``fits`` holds the statistics; ``envelope`` looks at layers in which all parameters
differ; ``recount`` puts an optimum into Timeloop's terms; ``validate`` puts it together, and ``findings`` says in words
what it shows.
"""

from picojoule.study.validation.envelope import WINDOW, Envelope, RandomLayers
from picojoule.study.validation.findings import verdicts
from picojoule.study.validation.fits import Fit
from picojoule.study.validation.sweeps import SWEEPS
from picojoule.study.validation.validate import Curve, Duel, Validation, validate_complexity

__all__ = [
    "SWEEPS",
    "WINDOW",
    "Curve",
    "Duel",
    "Envelope",
    "Fit",
    "RandomLayers",
    "Validation",
    "validate_complexity",
    "verdicts",
]
