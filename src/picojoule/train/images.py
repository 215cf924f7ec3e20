"""Labelled images, split into those that train, those that choose and those that report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from picojoule.errors import InputError

Normalisation = tuple[np.ndarray, np.ndarray]
"""Mean and deviation of pixels (0–255) by channel."""

MOVED = 4
"""Augmented images are moved by up to this many pixels each way."""


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
        names: of the classes, by their numbers; empty where they have none.
    """

    train: Images
    choose: Images
    test: Images
    names: tuple[str, ...] = ()

    def normalisation(self) -> Normalisation:
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

    def digest(self) -> str:
        """SHA-256 of all pixels, labels and names, and of which images serve which end."""
        found = hashlib.sha256(repr(self.names).encode())
        for part in (self.train, self.choose, self.test):
            found.update(str(part.pixels.shape).encode())
            found.update(np.ascontiguousarray(part.pixels))
            found.update(part.labels.astype("<i8").tobytes())
        return found.hexdigest()


def augmented(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images mirrored with probability ½ and moved by up to 4 pixels each way; what comes in from outside is black."""
    count, rows, columns, _ = pixels.shape
    padded = np.pad(pixels, ((0, 0), (MOVED, MOVED), (MOVED, MOVED), (0, 0)))
    top, left = random.integers(0, 2 * MOVED + 1, (2, count))
    row = top[:, None] + np.arange(rows)
    column = left[:, None] + np.arange(columns)
    mirrored = random.random(count) < 0.5
    column[mirrored] = column[mirrored, ::-1]
    return padded[np.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]
