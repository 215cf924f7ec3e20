"""Weights and the state of training as safetensors files: tensors and JSON, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.atomic_file import replace_file
from picojoule.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import torch


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Writes tensors by name, and facts beside them (whatever JSON can say), whole or not at all.

    Args:
        path: of the file (safetensors); what was there is replaced.
        tensors: by name.
        facts: whatever ``json.dumps`` takes.

    Raises:
        SystemFailure: the file can't be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace_file(path, _safetensors().save(plain, metadata={"facts": json.dumps(facts)}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors by name, and the facts, as ``save_tensors`` wrote them.

    Args:
        path: of the file.

    Raises:
        InputError: it is no such file.
    """
    _safetensors()
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - not a dict
    except (OSError, ValueError, safetensors.SafetensorError) as problem:
        raise InputError(f"not a readable checkpoint: {problem}", where=str(path)) from None


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtraError("weights are kept by safetensors", hint="pip install 'picojoule[torch]'") from None
    return safetensors.torch
