"""A few steps of training, the same for every proposal: what a worker needs to tune a network and to judge it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.errors import UsageError
from picojoule.train.checkpoint import save_tensors
from picojoule.train.images import Images, Normalisation, Splits, augmented
from picojoule.train.loop import few_steps, lessons, predict
from picojoule.train.recipe import Recipe
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Brief = Callable[["torch.nn.Module"], float]
"""Tunes a network in place for a few steps and returns its accuracy. It goes to other processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnImages:
    """Our own loop on images that were drawn beforehand: every worker sees the same.

    Attributes:
        batches: pixels and labels of each step.
        judge: choosing images, on which proposals are compared.
        normalisation: of pixels.
        recipe: rate, penalty, distillation and precision.
        taught: the teacher's logits for each batch, to learn from as far as the recipe says; None: there is no teacher.
    """

    batches: tuple[tuple[np.ndarray, np.ndarray], ...]
    judge: Images
    normalisation: Normalisation
    recipe: Recipe
    taught: tuple[np.ndarray, ...] | None

    def __call__(self, module: torch.nn.Module) -> float:
        # As the images lie in memory; dense convolutions are a good deal faster so.
        module.to(memory_format=import_torch().channels_last)
        few_steps(module, self.batches, self.recipe, normalisation=self.normalisation, taught=self.taught)
        logits = predict(module, self.judge, self.normalisation)[-1]
        return float((logits.argmax(1) == self.judge.labels).mean())


def on_images(
    data: Splits,
    recipe: Recipe,
    normalisation: Normalisation,
    teacher: torch.nn.Module | None,
    *,
    steps: int,
    seed: int,
    judged_on: int,
) -> OnImages:
    """The images of a few steps, drawn by ``seed``, with what the teacher says to them: once for all proposals.

    Args:
        data: train fits, the first of choose judge.
        recipe: of tuning; its epochs don't count.
        normalisation: of pixels.
        teacher: to learn from.
        steps: how many.
        seed: draws images and how they are moved.
        judged_on: choosing images that judge, at most.
    """
    draw = np.random.default_rng([recipe.seed, seed])
    size = min(recipe.batch, len(data.train))
    batches = []
    for _ in range(steps):
        chosen = draw.choice(len(data.train), size, replace=False)
        pixels = data.train.pixels[chosen]
        batches.append((augmented(pixels, draw) if recipe.augment else pixels, data.train.labels[chosen]))
    judge = data.choose.part(0, min(judged_on, len(data.choose)))
    taught = None
    if teacher is not None and recipe.distil:
        with one_thread():
            taught = tuple(lessons(teacher, batches, recipe, normalisation))
    return OnImages(batches=tuple(batches), judge=judge, normalisation=normalisation, recipe=recipe, taught=taught)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCallables:
    """The user's own loop: ``train`` is called with ``steps=``, too.

    Attributes:
        train: as ``task_of_callables`` takes it; None trains nothing.
        evaluate: accuracy of a module.
        steps: how many.
    """

    train: Callable[..., None] | None
    evaluate: Callable[..., float]
    steps: int

    def __call__(self, module: torch.nn.Module) -> float:
        if self.train is not None and self.steps:
            self.train(module, after_step=_nothing, steps=self.steps)
        return float(self.evaluate(module.eval()))


def check_takes_steps(train: Callable[..., None] | None) -> None:
    """Raises UsageError unless a user's training can be asked for a few steps."""
    if train is None:
        return
    parameters = inspect.signature(train).parameters.values()
    if not any(p.name == "steps" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise UsageError(
            "the training can't be asked for a few steps",
            where="train",
            hint="Let it take steps=None: so many steps of the optimizer for a proposal, None for the whole training.",
        )


def _nothing(_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A network to be tuned and judged, maybe by another process.

    Attributes:
        module: without the filters that go.
        brief: how.
        path: of the file for its weights afterwards.
    """

    module: torch.nn.Module
    brief: Brief
    path: Path


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums come out the same on every machine of a kind, however many processors it has."""
    torch = import_torch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def tuned(proposal: Proposal) -> float:
    """Tunes a proposal on one thread, keeps its weights, and returns its accuracy."""
    with one_thread():
        import_torch().manual_seed(0)
        accuracy = proposal.brief(proposal.module)
    save_tensors(proposal.path, proposal.module.state_dict(), {"accuracy": accuracy})
    return accuracy
