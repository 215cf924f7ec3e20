"""A network that was made smaller, from the folder in which it lies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.channels import without, without_block
from picojoule.compress.classes import sliced
from picojoule.compress.handover import WEIGHTS
from picojoule.compress.result import FILE, SCHEMA
from picojoule.compress.subject import subject_of
from picojoule.errors import InputError
from picojoule.train.checkpoint import load_tensors

if TYPE_CHECKING:
    import torch


def reload(model: Any, example_input: Any = None, *, folder: str | os.PathLike[str]) -> torch.nn.Module:
    """The module as ``prune`` or ``quantize`` handed it over, to the bit.

    Args:
        model: an ``nn.Module`` or ``package.module:factory``: the network as it was before; its weights don't matter.
        example_input: an input of batch 1.
        folder: where the result lies.

    Raises:
        InputError: there is no result, or one of another network.
    """
    path = Path(folder) / FILE
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(f"no result can be read: {problem}", where=str(path)) from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise InputError(f"this is no result of prune or quantize ({SCHEMA})", where=str(path))
    subject = subject_of(model, example_input)
    module = subject.module
    if few := result.get("classes"):
        module = sliced(module, few["head"], few["kept"])
    for step in result["steps"]:
        if "root" in step:
            gone = step["removed"]
            module = (
                without(module, subject.example, {step["root"]: gone}) if gone else without_block(module, step["root"])
            )
    tensors, _ = load_tensors(Path(folder) / WEIGHTS)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as problem:
        raise InputError(f"the weights are those of another network: {problem}", where=str(folder)) from None
    return module.eval()
