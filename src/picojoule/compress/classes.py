"""A network for a few of its classes: another head, images of these classes alone, and what becomes of images of the others."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.compress.batchnorm import reestimate
from picojoule.compress.layers import weighted
from picojoule.compress.rejection import best_temperature, chances, rejection
from picojoule.compress.subject import Subject
from picojoule.compress.task import Task
from picojoule.errors import ModelError, UsageError, nearest
from picojoule.train.datasets import read_dataset
from picojoule.train.images import Images, Normalisation, Splits
from picojoule.train.loop import predict
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

REJECTED = 0.05
"""Of the images of the kept classes, the share that the threshold may reject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FewClasses:
    """A task of some of a data set's classes.

    Attributes:
        kept: the classes, as the data number them, rising.
        names: of these.
        data: their images, numbered anew from 0.
        others: images of all other classes; their labels mean nothing.
        whole: the network with all its classes.
        subject: the same with the rows of the head for the kept classes alone.
        head: the layer that lost the others.
        normalisation: of pixels, as the network was trained.
        rejected: see ``REJECTED``.
    """

    kept: tuple[int, ...]
    names: tuple[str, ...]
    data: Splits
    others: Splits
    whole: torch.nn.Module
    subject: Subject
    head: str
    normalisation: Normalisation
    rejected: float

    def recalibrated(self, module: torch.nn.Module, task: Task) -> dict[str, Any]:
        """Takes BatchNorm's statistics anew if the choosing images are not answered worse by it, and divides the head by its temperature.

        Returns:
            What was done; the module is changed in place.
        """
        before = task.choose(module)
        fresh = copy.deepcopy(module)
        reestimate(fresh, task.calibrate())
        after = task.choose(fresh)
        if after >= before:
            module.load_state_dict(fresh.state_dict())
        logits = self._logits(module, self.data.choose)
        temperature = best_temperature(logits, self.data.choose.labels)
        head = weighted(module)[self.head]
        with import_torch().no_grad():
            for parameter in head.parameters(recurse=False):
                parameter.div_(temperature)
        return {
            "temperature": temperature,
            "batchnorm": {"as_trained": before, "taken_anew": after, "taken": after >= before},
        }

    def told(self, after: torch.nn.Module, calibration: dict[str, Any]) -> dict[str, Any]:
        """What the kept classes gain and an image of another class meets: with all classes, with the new head, and in the end."""
        labels = self.data.test.labels
        every = self._logits(self.whole, self.data.test)
        kept = np.array(self.kept)
        mine = {"the new head": self.subject.module, "in the end": after}
        return {
            "kept": list(self.kept),
            "names": list(self.names),
            "head": self.head,
            "images": {"kept": len(labels), "others": len(self.others.test)},
            "accuracy": {
                "all classes": float((every.argmax(1) == kept[labels]).mean()),
                **{name: float((self._logits(one, self.data.test).argmax(1) == labels).mean()) for name, one in mine.items()},
            },
            "calibration": calibration,
            "others": [
                self._by_answer(every),
                *({"network": name, **self._rejects(one)} for name, one in mine.items()),
            ],
        }

    def _by_answer(self, every: np.ndarray) -> dict[str, Any]:
        """With all classes at hand, an answer outside the kept ones rejects."""
        strange = self._logits(self.whole, self.others.test)
        return {
            "network": "all classes",
            "threshold": None,
            "kept_rejected": float((~np.isin(every.argmax(1), self.kept)).mean()),
            "others_accepted": float(np.isin(strange.argmax(1), self.kept).mean()),
            "auroc": None,
        }

    def _rejects(self, module: torch.nn.Module) -> dict[str, Any]:
        chosen = self._logits(module, self.data.choose)
        temperature = best_temperature(chosen, self.data.choose.labels)
        parts = (chosen, self._logits(module, self.data.test), self._logits(module, self.others.test))
        found = rejection(*(chances(logits, temperature).max(1) for logits in parts), rejected=self.rejected)
        accepted = chances(parts[2], temperature).argmax(1)[found.pop("accepted")]
        counts = np.bincount(accepted, minlength=len(self.kept)) / max(1, len(accepted))
        return {**found, "accepted_as": dict(zip(self.names, counts.tolist(), strict=True))}

    def _logits(self, module: torch.nn.Module, images: Images) -> np.ndarray:
        return predict(module, images, self.normalisation)[-1]


def few_classes(
    subject: Subject,
    asked: str | Sequence[str | int],
    data: Splits,
    normalisation: Normalisation | None,
    rejected: float = REJECTED,
) -> FewClasses:
    """The task of the classes that are asked for.

    Args:
        subject: the network with all its classes.
        asked: ``"cat,dog"``, or a sequence of names or numbers.
        data: labelled images of all classes.
        normalisation: of pixels, as the network was trained; by default of all training images.
        rejected: see ``REJECTED``.

    Raises:
        UsageError: an unknown class, fewer than two, or all.
        ModelError: the network has no head of as many rows as there are classes.
    """
    if not 0 < rejected < 1:
        raise UsageError(f"a share between 0 and 1 is rejected, got {rejected!r}", where="reject")
    count = int(max(part.labels.max() for part in (data.train, data.choose, data.test))) + 1
    kept = chosen_classes(asked, data.names or tuple(str(i) for i in range(count)))
    smaller, head = rehead(subject.module, subject.example, kept, count)
    return FewClasses(
        kept=kept,
        names=tuple(data.names[i] if data.names else str(i) for i in kept),
        data=_parts(data, kept, inside=True),
        others=_parts(data, kept, inside=False),
        whole=subject.module,
        subject=Subject(smaller, subject.name, subject.example),
        head=head,
        normalisation=normalisation or data.normalisation(),
        rejected=rejected,
    )


def images_of(data: str | Path | Splits | None, all_seen: bool) -> Splits:
    """The labelled images from which some classes can be taken.

    Raises:
        UsageError: there are none.
    """
    if data is None:
        raise UsageError(
            "which images are of which class must be known", where="classes", hint="Name labelled images: --data PATH."
        )
    return data if isinstance(data, Splits) else read_dataset(data, all_seen=all_seen)


def chosen_classes(asked: str | Sequence[str | int], names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of these classes, rising.

    Raises:
        UsageError: an unknown class, one named twice, fewer than two, or all.
    """
    words = [part.strip() for part in asked.split(",")] if isinstance(asked, str) else [str(part) for part in asked]
    found = []
    for word in words:
        if word in names:
            found.append(list(names).index(word))
        elif word.isdecimal() and int(word) < len(names):
            found.append(int(word))
        else:
            raise UsageError(f"there is no class {word!r}", where="classes", hint=nearest(word, names))
    if len(set(found)) < len(found):
        raise UsageError("a class is named twice", where="classes")
    if not 2 <= len(found) < len(names):
        raise UsageError(
            f"from 2 to {len(names) - 1} of {len(names)} classes can be kept, got {len(found)}",
            where="classes",
            hint=f"There are {', '.join(names)}.",
        )
    return tuple(sorted(found))


def rehead(module: torch.nn.Module, example: Any, kept: Sequence[int], count: int) -> tuple[torch.nn.Module, str]:
    """A copy of the network that answers with the logits of these classes alone, and the layer that lost the rows of the others.

    Raises:
        ModelError: no layer's rows are the logits.
    """
    torch = import_torch()
    inputs = torch.randn(4, *example.shape[1:], generator=torch.Generator().manual_seed(0))
    rows = torch.tensor(list(kept))
    with torch.no_grad():
        logits = module.eval()(inputs)
        if logits.ndim == 2 and logits.shape[1] == count:
            for name, layer in reversed(weighted(module).items()):
                if len(layer.weight) != count:
                    continue
                smaller = sliced(module, name, kept)
                try:
                    answered = smaller(inputs)
                except RuntimeError:
                    continue
                if answered.shape == (4, len(rows)) and torch.allclose(answered, logits[:, rows], rtol=1e-4, atol=1e-5):
                    return smaller, name
    raise ModelError(
        f"no layer's rows are the logits of the {count} classes",
        where="classes",
        hint="The network must return one score a class, straight from a fully connected layer or a convolution.",
    )


def sliced(module: torch.nn.Module, name: str, kept: Sequence[int]) -> torch.nn.Module:
    """A copy of the network of whose layer ``name`` these rows are left."""
    torch = import_torch()
    smaller = copy.deepcopy(module).eval()
    layer = weighted(smaller)[name]
    rows = torch.tensor(list(kept))
    for which in ("weight", "bias"):
        if getattr(layer, which) is not None:
            setattr(layer, which, torch.nn.Parameter(getattr(layer, which).detach()[rows].clone()))
    if isinstance(layer, torch.nn.Linear):
        layer.out_features = len(rows)
    else:
        layer.out_channels = len(rows)
    return smaller


def _parts(data: Splits, kept: Sequence[int], *, inside: bool) -> Splits:
    numbers = {old: new for new, old in enumerate(kept)}

    def part(images: Images) -> Images:
        chosen = np.isin(images.labels, list(kept)) == inside
        labels = images.labels[chosen]
        if inside:
            labels = np.array([numbers[int(label)] for label in labels], np.int64)
        return Images(pixels=images.pixels[chosen], labels=labels)

    names = tuple(data.names[i] for i in kept) if inside and data.names else ()
    return replace(data, train=part(data.train), choose=part(data.choose), test=part(data.test), names=names)
