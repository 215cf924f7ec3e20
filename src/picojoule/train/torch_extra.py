"""PyTorch, or an error that names the extra."""

from __future__ import annotations

from typing import Any

from picojoule.errors import MissingExtraError


def import_torch() -> Any:
    """The package torch.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("training needs PyTorch", hint="pip install 'picojoule[torch]'") from None
    return torch
