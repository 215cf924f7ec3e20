"""The network that a compression works on: an ``nn.Module``, or what the user's factory makes."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import UsageError
from picojoule.frontends.factory import FACTORY, call_factory
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Subject:
    """A network, its name, and an input of batch 1."""

    module: torch.nn.Module
    name: str
    example: Any


def subject_of(model: Any, example_input: Any = None, *, weights: str | os.PathLike[str] | None = None) -> Subject:
    """A copy of the network in evaluation mode: what is done to it leaves the caller's alone.

    Args:
        model: an ``nn.Module``, or ``package.module:factory``.
        example_input: a tensor of batch 1; needed unless the factory gives one, too.
        weights: a safetensors file with the network's weights by name.

    Raises:
        UsageError: neither of these, or no example input.
        InputError: the file of weights doesn't fit.
    """
    torch = import_torch()
    name = model if isinstance(model, str) else type(model).__name__
    if isinstance(model, str):
        if FACTORY.fullmatch(model) is None:
            raise UsageError(
                f"weights can be changed in PyTorch only, and {model!r} is no package.module:factory",
                where="model",
                hint="Write a function that returns the nn.Module and an example input, and name it: mymodels:resnet",
            )
        model, given = call_factory(model)
        example_input = given if example_input is None else example_input
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"an nn.Module is needed, got {type(model).__name__}", where="model")
    if not isinstance(example_input, torch.Tensor):
        raise UsageError(
            "an example input is needed: one tensor, batch first",
            where="example_input",
            hint="Let the factory return (module, torch.zeros(1, 3, 32, 32)).",
        )
    module = copy.deepcopy(model).eval()
    if weights is not None:
        _load(module, Path(weights))
    return Subject(module, name, example_input[:1])


def _load(module: torch.nn.Module, path: Path) -> None:
    from picojoule.errors import InputError
    from picojoule.train.checkpoint import load_tensors

    tensors, _ = load_tensors(path)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as problem:
        raise InputError(f"these are weights of another network: {problem}", where=str(path)) from None
