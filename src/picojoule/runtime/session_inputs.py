"""What a bundle is run on: images of a folder, or arrays of a file, a batch at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.runtime.manifest import Manifest
from picojoule.runtime.session_images import images_in, prepare, read_image, require_preprocessing

LABELS = "labels"
"""Array of an ``.npz`` file with the right class of every sample."""

_PREPARE = (
    "An .npz file has an array for each input of the network, samples along the first axis:"
    " numpy.savez(FILE, input=array)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples that run together.

    Attributes:
        names: of images their file's, else the sample's number.
        feed: the network's inputs by name.
        labels: right classes, or None.
    """

    names: tuple[str, ...]
    feed: dict[str, np.ndarray]
    labels: np.ndarray | None


def read_batches(path: Path, manifest: Manifest, batch: int) -> Iterator[Batch]:
    """What lies in ``path``, up to ``batch`` samples at a time.

    Args:
        path: a folder of images; or an ``.npz`` (or ``.npy``) file: arrays as the network takes them, or pixels (uint8,
            images × rows × columns × channels) where the bundle says how images become its input; and perhaps
            ``labels``.
        manifest: of the bundle.
        batch: at least 1.

    Raises:
        UsageError: there is no such file or folder, or the bundle doesn't take images.
        InputError: its contents don't fit the network.
    """
    if batch < 1:
        raise UsageError(f"a batch has at least 1 sample, got {batch}", where="batch")
    if path.is_dir():
        return _of_images(path, manifest, batch)
    if not path.is_file():
        raise UsageError(f"there is no file or folder {str(path)!r}", where="input", hint=_PREPARE)
    return _of_arrays(path, manifest, batch)


def _of_images(folder: Path, manifest: Manifest, batch: int) -> Iterator[Batch]:
    how, tensor = require_preprocessing(manifest.preprocessing), manifest.inputs[0]
    files = images_in(folder)
    for first in range(0, len(files), batch):
        part = files[first : first + batch]
        feed = {tensor.name: np.stack([read_image(file, how, tensor) for file in part])}
        yield Batch(names=tuple(file.name for file in part), feed=feed, labels=None)


def _of_arrays(path: Path, manifest: Manifest, batch: int) -> Iterator[Batch]:
    arrays, labels = _arrays(path, manifest)
    how, first_input = manifest.preprocessing, manifest.inputs[0]
    count = len(arrays[first_input.name])
    pixels = how is not None and _is_pixels(arrays[first_input.name], first_input.shape, first_input.dtype)
    if not pixels:
        for tensor in manifest.inputs:
            _check(path, tensor.name, arrays[tensor.name], tensor.shape, tensor.dtype)
    for first in range(0, count, batch):
        feed = {name: array[first : first + batch] for name, array in arrays.items()}
        if pixels:
            assert how is not None
            feed = {first_input.name: prepare(feed[first_input.name], how, first_input)}
        else:
            feed = {t.name: np.ascontiguousarray(feed[t.name], dtype=t.dtype) for t in manifest.inputs}
        size = min(batch, count - first)
        yield Batch(
            names=tuple(str(number) for number in range(first, first + size)),
            feed=feed,
            labels=None if labels is None else labels[first : first + size],
        )


def _is_pixels(array: np.ndarray, shape: tuple[int, ...], dtype: str) -> bool:
    """Whether an array holds images and not yet what the network takes; whole bytes that it takes as they are don't."""
    return array.dtype == np.uint8 and array.ndim == 4 and not (dtype == "uint8" and array.shape[1:] == shape)


def _arrays(path: Path, manifest: Manifest) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The arrays by the names of the inputs, and the labels; a single input's array may have any name."""
    wanted = [tensor.name for tensor in manifest.inputs]
    try:
        # numpy leaves a file open that it opened itself and can't read.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            found = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"": loaded}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as problem:
        # What numpy says of pickles is advice to load them.
        reason = "it holds none, or pickled objects, which are never loaded" if "pickle" in str(problem) else problem
        raise InputError(f"its arrays can't be read: {reason}", where=str(path), hint=_PREPARE) from None
    labels = found.pop(LABELS) if LABELS in found and LABELS not in wanted else None
    if len(wanted) == len(found) == 1:
        found = {wanted[0]: next(iter(found.values()))}
    missing = [name for name in wanted if name not in found]
    if missing:
        there = ", ".join(map(repr, found)) or "none"
        raise InputError(f"it has no array {missing[0]!r}; it has {there}", where=str(path), hint=_PREPARE)
    counts = {name: len(found[name]) if found[name].ndim else 0 for name in wanted}
    if len(set(counts.values())) != 1 or not counts[wanted[0]]:
        told = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
        raise InputError(f"every input needs as many samples, and at least one; there are {told}", where=str(path))
    if labels is not None:
        _check_labels(path, labels, counts[wanted[0]], manifest)
    return {name: found[name] for name in wanted}, labels


def _check_labels(path: Path, labels: np.ndarray, count: int, manifest: Manifest) -> None:
    classes = manifest.classes
    where = f"{path}: labels"
    if classes is None:
        raise InputError("the network doesn't classify, so labels mean nothing", where=where)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(f"{count} whole numbers are expected, got {labels.dtype} of {list(labels.shape)}", where=where)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise InputError(f"classes are 0 … {classes - 1}, got {labels[wrong[0]]} for sample {wrong[0]}", where=where)


def _check(path: Path, name: str, array: np.ndarray, shape: tuple[int, ...], dtype: str) -> None:
    wanted = np.dtype(dtype)
    shown = ", ".join(["samples", *map(str, shape)])
    if array.shape[1:] != shape:
        raise InputError(
            f"the array has the shape {list(array.shape)}; the network takes [{shown}]",
            where=f"{path}: {name}",
            hint=_PREPARE,
        )
    if array.dtype.kind not in "biuf" or (wanted.kind != "f" and array.dtype != wanted):
        raise InputError(f"the array holds {array.dtype}; the network takes {dtype}", where=f"{path}: {name}")
