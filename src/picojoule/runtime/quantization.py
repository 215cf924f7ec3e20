"""What INT8 changed in the answers of a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.errors import BundleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Stages of 8 bits beside the stages in float that they were made of.

    Attributes:
        method: how ranges were found, for example ``minmax``.
        calibrated_on: samples that ranges were found on.
        compared_on: samples that the answers were compared on.
        agreement: by exit, the share of them that both take for the same class.
        max_abs_difference: by exit, of the outputs.
        accuracy_before: by exit, of the stages in float; None without labels.
        accuracy_after: by exit, of the stages of 8 bits.
    """

    method: str
    calibrated_on: int
    compared_on: int
    agreement: tuple[float, ...]
    max_abs_difference: tuple[float, ...]
    accuracy_before: tuple[float, ...] | None = None
    accuracy_after: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.agreement):
            raise BundleError(f"shares lie in 0 … 1, got {list(self.agreement)}", where="agreement")
        if (self.accuracy_before is None) != (self.accuracy_after is None):
            raise BundleError("accuracies are of both, or of neither", where="accuracy_after")
