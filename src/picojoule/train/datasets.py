"""Labelled images by the name or folder that a command gives."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from picojoule.errors import InputError, UsageError
from picojoule.train.cifar10 import CLASSES, TRAINED_ON, read_cifar10
from picojoule.train.cifar10_pickles import read_cifar10_pickles
from picojoule.train.digits import read_digits
from picojoule.train.images import Splits

CHOOSING = 2000
"""Of the test images, those that choose where the training images can't: the network has learnt them all."""


def read_dataset(source: str | os.PathLike[str], *, all_seen: bool = False) -> Splits:
    """The images of ``digits``, or of a folder with CIFAR-10: the official pickles, or lossless sheets.

    Args:
        source: as above.
        all_seen: the network was trained on the choosing images, too: then the first 2,000 test images choose and the
            others report.

    Raises:
        UsageError, InputError, MissingExtraError: see the readers.
    """
    if os.fspath(source) == "digits":
        splits = read_digits()
    else:
        folder = Path(source)
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {str(folder)!r}",
                where="data",
                hint='A folder with CIFAR-10, or the word "digits".',
            )
        pickles = folder / "cifar-10-batches-py" if (folder / "cifar-10-batches-py").is_dir() else folder
        if (pickles / "data_batch_1").is_file():
            splits = read_cifar10_pickles(pickles, TRAINED_ON, CLASSES)
        else:
            splits = read_cifar10(folder)
    if not all_seen:
        return splits
    if len(splits.test) <= CHOOSING:
        raise InputError(f"of {len(splits.test)} test images {CHOOSING} can't be spared to choose", where=str(source))
    return replace(splits, choose=splits.test.part(0, CHOOSING), test=splits.test.part(CHOOSING, len(splits.test)))
