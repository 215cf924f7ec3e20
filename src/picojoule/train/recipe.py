"""How a network is trained, as data: the same recipe on the same images gives the same weights."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.errors import UsageError

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Adam under a one-cycle schedule.

    Attributes:
        epochs: passes over the training images; the schedule spans them all.
        batch: images per step; the rest of an epoch that fills none is left out, another one each epoch.
        peak_rate: the highest learning rate; it rises over the first 30 % of all steps and then falls to nearly 0.
        l2: λ of the penalty λ·‖w‖² on weights (biases are free), which Adam sees as part of the gradient.
        patience: epochs without a better score on the choosing images after which training stops; None: never.
            Whatever happens, the weights of the best epoch are those that count.
        augment: show each training image mirrored with probability ½ and moved by up to 4 pixels each way over black.
        distil: share of the loss that comes from a teacher's logits instead of from labels (Hinton et al., 2015).
        precision: of convolutions and products; weights, their moments and losses are float32 always.
        seed: of the first weights, the order of images and the dropped inputs.
    """

    epochs: int = 10
    batch: int = 128
    peak_rate: float = 2e-3
    l2: float = 1e-3
    patience: int | None = None
    augment: bool = False
    distil: float = 0.0
    precision: str = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            if not isinstance(value := getattr(self, name), int) or value < least:
                raise UsageError(f"a whole number from {least} is needed, got {value!r}", where=name)
        for name, good in (("peak_rate", self.peak_rate > 0), ("l2", self.l2 >= 0), ("distil", 0 <= self.distil <= 1)):
            if not good:
                raise UsageError(f"got {getattr(self, name)!r}, which is out of range", where=name)
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"at least 1 epoch, or None, got {self.patience!r}", where="patience")
        if self.precision not in PRECISIONS:
            raise UsageError(f"got {self.precision!r}; allowed: {', '.join(PRECISIONS)}", where="precision")
