"""What decides the answers of a job, by content: two machines, data sets or networks may have one name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from picojoule.compress.stages import digest
from picojoule.compress.subject import Subject
from picojoule.hardware import Accelerator
from picojoule.train.images import Normalisation, Splits
from picojoule.train.recipe import Recipe


def request_of(
    subject: Subject,
    asked: Mapping[str, Any],
    *,
    machine: Accelerator | None,
    data: Splits | None,
    normalisation: Normalisation | None,
    recipe: Recipe,
) -> dict[str, Any]:
    """The request of a job, as ``Stages`` takes it.

    Args:
        subject: the network as it came.
        asked: what else decides the answers, by name; a name of ours is overridden.
        machine: that is modelled, if one is.
        data: the images, if there are any.
        normalisation: of their pixels; None: that of the training images.
        recipe: of the training.
    """
    return {
        "model": subject.name,
        "weights": digest(subject.module),
        "example": [str(subject.example.dtype), *subject.example.shape],
        "hardware": None if machine is None else machine.name,
        "machine": None if machine is None else machine_digest(machine),
        "data": None if data is None else data.digest(),
        "normalisation": None if normalisation is None else [part.tolist() for part in normalisation],
        "recipe": asdict(recipe),
        **asked,
    }


def machine_digest(machine: Accelerator) -> str:
    """SHA-256 of all of a machine but its description in words."""
    from picojoule.hardware import accelerator_to_data

    data = {name: value for name, value in accelerator_to_data(machine).items() if name != "description"}
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=float).encode()).hexdigest()


def callable_name(function: Any) -> str | None:
    """Module and name of a callable of the user's."""
    if function is None:
        return None
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"
