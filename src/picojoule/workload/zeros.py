"""How many elements of the tensors of a layer are zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Zeros:
    """Shares of zeros from 0 to 1; a tensor of which nothing is known has none.

    Attributes:
        weights: of the weights, or of the right operand of a product of activations.
        inputs: of the inputs.
        outputs: of the outputs, behind the activation.

    Raises:
        ValueError: a share outside 0 … 1.
    """

    weights: float = 0.0
    inputs: float = 0.0
    outputs: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weights", "inputs", "outputs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"zeros of {name} must be a share from 0 to 1, got {value!r}")

    @classmethod
    def of(cls, known: Mapping[str, float] | None) -> Zeros:
        """From what is known by tensor."""
        return cls(**(known or {}))


DENSE = Zeros()
