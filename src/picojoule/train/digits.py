"""Scikit-learn's handwritten digits: 1,797 images of 8 × 8 pixels, there without a download; for demonstrations and tests."""

from __future__ import annotations

import numpy as np

from picojoule.errors import MissingExtraError
from picojoule.train.images import Images, Splits

TRAINED_ON, CHOSEN_ON = 1200, 1400


def read_digits() -> Splits:
    """1,200 images that train, 200 that choose, 397 that test; pixels 0–255, one channel; shuffled once and for all.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("the digits need scikit-learn", hint="pip install 'picojoule[torch]'") from None
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels = np.round(found.images[order] * (255 / 16)).astype(np.uint8)[..., None]
    every = Images(pixels=pixels, labels=found.target[order].astype(np.int64))
    return Splits(
        train=every.part(0, TRAINED_ON),
        choose=every.part(TRAINED_ON, CHOSEN_ON),
        test=every.part(CHOSEN_ON, len(every)),
    )
