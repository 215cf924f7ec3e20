"""How many elements of the tensors of a layer are zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.errors import UsageError, nearest


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
TENSORS = ("weights", "inputs", "outputs")


def parse_zeros(text: str) -> dict[str, float]:
    """Shares of zeros by tensor from ``weights=0.3,inputs=0.5``, as ``--sparsity`` takes them.

    Raises:
        UsageError: another form, a tensor that there isn't or that is named twice, a share outside 0 … 1.

    >>> parse_zeros("weights=0.3")
    {'weights': 0.3}
    """
    known: dict[str, float] = {}
    for part in text.split(","):
        tensor, sign, share = (piece.strip() for piece in part.partition("="))
        if not sign or tensor not in TENSORS:
            raise UsageError(f"{part.strip()!r} says no share of zeros", where="sparsity", hint=_hint(tensor))
        if tensor in known:
            raise UsageError(f"zeros of {tensor} are stated twice", where="sparsity", hint="State each once.")
        try:
            known[tensor] = float(share)
            Zeros(**{tensor: known[tensor]})
        except ValueError:
            raise UsageError(
                f"zeros of {tensor} must be a share from 0 to 1, got {share!r}", where="sparsity", hint="30 % is 0.3."
            ) from None
    return known


def _hint(tensor: str) -> str:
    if tensor in TENSORS:
        return f"Write {tensor}=0.3."
    if tensor in ("given", "measured"):
        return "Zeros are given, measured, or stated as shares: one of them."
    return f"Write given, measured, or TENSOR=SHARE like weights=0.3. {nearest(tensor, TENSORS)}"
