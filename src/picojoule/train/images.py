"""Labelled images, split into those that train, those that choose and those that report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images with their labels.

    Attributes:
        pixels: uint8, images × rows × columns × channels.
        labels: int64, one class per image, from 0.
    """

    pixels: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8:
            raise InputError(
                f"images are uint8 of images × rows × columns × channels, not {self.pixels.dtype} {self.pixels.shape}",
                where="pixels",
            )
        if self.labels.shape != (len(self.pixels),) or self.labels.dtype.kind not in "iu":
            raise InputError(
                f"{len(self.pixels)} images need as many labels (integers);"
                f" got {self.labels.dtype} of shape {self.labels.shape}",
                where="labels",
            )

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, first: int, end: int) -> Images:
        """Images ``first`` up to, but without, ``end``."""
        return Images(pixels=self.pixels[first:end], labels=self.labels[first:end])


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Choosing and reporting are apart: no image serves two of these ends.

    Attributes:
        train: weights are fitted on these.
        choose: epochs, thresholds and rates are chosen on these.
        test: what is reported is measured on these, and nothing else happens with them.
    """

    train: Images
    choose: Images
    test: Images

    def normalisation(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the training pixels (0–255), by channel; float32."""
        channels = self.train.pixels.shape[3]
        counts = np.stack(
            [np.bincount(self.train.pixels[..., channel].ravel(), minlength=256) for channel in range(channels)]
        )
        levels = np.arange(256)
        mean = counts @ levels / counts.sum(1)
        variance = counts @ levels.astype(float) ** 2 / counts.sum(1) - mean**2
        deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
        return mean.astype(np.float32), deviation.astype(np.float32)
