"""What was trained and kept in this folder, read and checked: logits, what the training images gave, logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits import Answers, answers

EXITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One trained network.

    Attributes:
        name: of its training.
        test, choose, train: what its exits answer to the three sets of images.
        log: a line for each epoch.
        epochs: those that the recipe plans.
    """

    name: str
    test: Answers
    choose: Answers
    train: Answers
    log: list[dict[str, Any]]

    @property
    def accuracy(self) -> np.ndarray:
        """On the test images, by exit."""
        return self.test.accuracy


def read_evidence(folder: Path) -> dict[str, Trained]:
    """Every network of the folder, by name.

    Raises:
        UsageError: the folder holds none.
        InputError: logits that are no numbers, that don't match the labels, or files that aren't readable.
    """
    files = sorted((folder / "logits").glob("*.npz"))
    if not files or not (folder / "labels.npz").is_file():
        raise UsageError("there are no labels.npz and logits/*.npz", where=str(folder), hint="measure.py makes them.")
    labels = _arrays(folder / "labels.npz", ("choose", "test"))
    found = {}
    for file in files:
        arrays = _arrays(file, ("choose", "test", "train_confidence", "train_right"))
        exits = EXITS if file.stem.partition("-")[0] in ("combined", "individual") else 1
        counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
        wrong = next((name for name, count in counts.items() if count != exits), None)
        if wrong is not None:
            raise InputError(f"exits: {exits} needed, got {counts[wrong]}", where=f"{file}, {wrong}")
        found[file.stem] = Trained(
            name=file.stem,
            test=answers(arrays["test"], labels["test"], where=f"{file}, test"),
            choose=answers(arrays["choose"], labels["choose"], where=f"{file}, choose"),
            train=Answers(confidence=arrays["train_confidence"].astype(float), right=arrays["train_right"]),
            log=_log(folder / "logs" / f"{file.stem}.jsonl"),
        )
    return found


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as problem:
        raise InputError(f"not readable: {problem}", where=str(path), hint="measure.py makes it anew.") from None


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as problem:
        raise InputError(f"not readable: {problem}", where=str(path), hint="measure.py makes it anew.") from None
