"""CIFAR-10 from the official Python archive, read without running what is in it.

The folder ``cifar-10-batches-py`` holds ``data_batch_1`` … ``data_batch_5`` and ``test_batch``: pickled dictionaries of an array
(images × 3072: red, green, blue rows) and a list of labels. Unpickling can run anything, so only what such a file needs is allowed.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.train.images import Images, Splits

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def read_cifar10_pickles(folder: Path, trained_on: int, names: tuple[str, ...] = ()) -> Splits:
    """All 60,000 images; the first ``trained_on`` training images train, the other training images choose; classes have these names.

    Raises:
        UsageError: a file is missing.
        InputError: a file is not the official one (its MD5 differs), or holds what it should not.
    """
    parts = [_batch(folder / f"data_batch_{index}") for index in range(1, 6)]
    train = Images(
        pixels=np.concatenate([pixels for pixels, _ in parts]), labels=np.concatenate([labels for _, labels in parts])
    )
    pixels, labels = _batch(folder / "test_batch")
    return Splits(
        train=train.part(0, trained_on),
        choose=train.part(trained_on, len(train)),
        test=Images(pixels=pixels, labels=labels),
        names=names,
    )


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise UsageError(f"there is no {path.name}", where=str(path.parent), hint=f"The folder holds {', '.join(MD5)}.")
    raw = path.read_bytes()
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != MD5[path.name]:
        raise InputError(
            f"its MD5 is {found}, not {MD5[path.name]}: it is damaged or another file",
            where=str(path),
            hint="Unpack the archive anew.",
        )
    return _contents(raw, str(path))


def _contents(raw: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        table = _Careful(io.BytesIO(raw), encoding="bytes").load()
        pixels = np.asarray(table[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(table[b"labels"], np.int64)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError, AttributeError) as problem:
        raise InputError(f"not a batch of CIFAR-10: {problem}", where=where) from None
    return np.ascontiguousarray(pixels), labels


class _Careful(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file needs")
        if name == "_reconstruct":
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        return super().find_class(module, name)
