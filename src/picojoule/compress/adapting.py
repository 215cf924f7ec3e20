"""``adapt``: fewer channels, chosen by what the platform itself costs, until the network meets a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.baselines import Shrinking, at_one_share, narrowed, widened
from picojoule.compress.brief import check_takes_steps
from picojoule.compress.budgets import Budget, parse_budget
from picojoule.compress.costs import Costs, network_of
from picojoule.compress.frozen_table import FILE as TABLE
from picojoule.compress.frozen_table import FrozenTable
from picojoule.compress.handover import export_onnx, hand_over, measured_ms
from picojoule.compress.layers import weighted
from picojoule.compress.meters import Macs, MeasuredByRunner, MeasuredHere, Meter, Modelled
from picojoule.compress.netadapt import Asked, Run, Schedule, least
from picojoule.compress.result import Compression, remarks_on
from picojoule.compress.stages import REQUEST, Stages, digest
from picojoule.compress.subject import Subject, subject_of
from picojoule.compress.task import TUNING, Task, task_of
from picojoule.compress.widths import Widths
from picojoule.errors import PicojouleError, UsageError, nearest
from picojoule.estimation import estimate
from picojoule.hardware import Accelerator, load_hardware
from picojoule.search.policy import Exact
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe

if TYPE_CHECKING:
    import torch

METHODS = ("netadapt", "uniform", "morphnet")
MEASURED = "measured"
SEARCH = Exact(factors="exact")
"""Of every layer that the table lacks, unless another is asked for."""
STEPS, JUDGED_ON = 50, 1000
ROUNDS = 5
"""How often the table's limit is lowered where the network as a whole takes longer than the table foretold."""
_SPARE = 0.995
"""Below the limit that was missed, so that noise doesn't miss it again."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """A budget, what counts it, and what it comes to for this network."""

    budget: Budget
    meter: Meter
    limit: float
    start: float
