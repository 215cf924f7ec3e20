"""What a network is for: how it is judged, trained and calibrated; by labelled images, or by the user's own callables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from picojoule.compress.brief import Brief, ByCallables, on_images
from picojoule.errors import UsageError
from picojoule.runtime.manifest import Preprocessing
from picojoule.train.checkpoint import save_tensors
from picojoule.train.datasets import read_dataset
from picojoule.train.images import Images, Normalisation, Splits
from picojoule.train.loop import STEP, fit, predict
from picojoule.train.recipe import Recipe
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Holding = Callable[["torch.nn.Module"], None]
"""Called after every step of an optimizer: it holds weights where they must be."""

TUNING = Recipe(epochs=6, peak_rate=1e-3, l2=1e-5, augment=True, distil=0.9)
"""Of fine-tuning, unless another is asked for: few epochs on mirrored and moved images, mostly after the network as it was."""

LEAST_AUGMENTED = 24
"""Rows of images from which on the default recipe mirrors and moves them."""

CALIBRATED_ON, BATCH = 1000, 250


class Training(Protocol):
    """Trains a module in place, with checkpoints in a folder; ``hold`` is called after every step.

    ``keep_step``: the weights as they are before this step are left as ``step.safetensors``. ``first_step``: so many steps of the
    schedule lie behind; who trains by callables of their own begins theirs anew.
    """

    def __call__(
        self,
        module: torch.nn.Module,
        folder: Path,
        hold: Holding | None,
        *,
        first_step: int = 0,
        keep_step: int | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Callables on the network's module.

    Attributes:
        report: accuracy on the data that report, 0 to 1; nothing is chosen by it.
        choose: the same on the data that choose.
        train: trains a module in place.
        calibrate: batches of inputs, the same at every call.
        preprocessing: how images become inputs, where that is known.
        brief: a few steps of training and a judgement: (steps, seed, choosing images that judge at most).
    """

    report: Callable[[torch.nn.Module], float]
    choose: Callable[[torch.nn.Module], float]
    train: Training
    calibrate: Callable[[], Sequence[Any]]
    brief: Callable[[int, int, int], Brief]
    preprocessing: Preprocessing | None = None


def task_of(
    data: str | Path | Splits | None,
    *,
    all_seen: bool,
    normalisation: Normalisation | None,
    train: Callable[..., None] | None,
    evaluate: Callable[..., float] | None,
    calibrate: Callable[[], Sequence[Any]] | None,
    recipe: Recipe,
    teacher: torch.nn.Module,
    note: Callable[[str], None],
) -> Task:
    """The task that the arguments of ``prune`` and ``quantize`` describe: labelled images, or the user's callables.

    Raises:
        UsageError: neither, or both in part.
        InputError, MissingExtraError: of ``read_dataset``.
    """
    own = {"evaluate": evaluate, "calibrate": calibrate}
    if data is None:
        missing = [name for name, given in own.items() if given is None]
        if missing:
            raise UsageError(
                f"without data {' and '.join(missing)} must be given",
                where=missing[0],
                hint='Labelled images (--data PATH, or "digits"), or callables of your own.',
            )
        assert evaluate is not None and calibrate is not None
        return task_of_callables(train, evaluate, calibrate)
    if any(given is not None for given in (*own.values(), train)):
        raise UsageError("data, or callables of your own: not both", where="data")
    splits = data if isinstance(data, Splits) else read_dataset(data, all_seen=all_seen)
    recipe = fitting(recipe, splits)

    def told(line: dict[str, Any]) -> None:
        note(f"epoch {line['epoch'] + 1} of {recipe.epochs}: {line['score']:.2%} of the choosing images right")

    return task_of_images(splits, recipe, normalisation, teacher, told)


def fitting(recipe: Recipe, data: Splits | None) -> Recipe:
    """The recipe for these images: moved by 4 pixels or mirrored, a digit of 8 × 8 is another or none."""
    by_default = replace(recipe, epochs=TUNING.epochs, peak_rate=TUNING.peak_rate, distil=TUNING.distil, seed=TUNING.seed) == TUNING
    if data is not None and by_default and data.train.pixels.shape[1] < LEAST_AUGMENTED:
        return replace(recipe, augment=False)
    return recipe


def task_of_images(
    data: Splits,
    recipe: Recipe,
    normalisation: Normalisation | None = None,
    teacher: torch.nn.Module | None = None,
    note: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Task:
    """Classification of labelled images by our own loop.

    Args:
        data: train fits, choose chooses, test reports.
        recipe: of fine-tuning.
        normalisation: mean and deviation of pixels (0–255) by channel that the network was trained with; by default those
            of the training images.
        teacher: to learn from as far as the recipe says.
        note: called with each line of the log of a training.
    """
    normal = normalisation or data.normalisation()

    def accuracy(module: torch.nn.Module, part: Images) -> float:
        return float((predict(module, part, normal)[-1].argmax(1) == part.labels).mean())

    def train(
        module: torch.nn.Module,
        folder: Path,
        hold: Holding | None,
        *,
        first_step: int = 0,
        keep_step: int | None = None,
    ) -> None:
        fit(
            module,
            data,
            recipe,
            folder=folder,
            note=note,
            normalisation=normal,
            after_step=hold,
            teacher=teacher,
            first_step=first_step,
            keep_step=keep_step,
        )

    def calibrate() -> Sequence[Any]:
        count = min(CALIBRATED_ON, len(data.train))
        return [inputs_of(data.train.pixels[i : min(i + BATCH, count)], normal) for i in range(0, count, BATCH)]

    return Task(
        report=lambda module: accuracy(module, data.test),
        choose=lambda module: accuracy(module, data.choose),
        train=train,
        calibrate=calibrate,
        preprocessing=preprocessing_of(data.train.pixels.shape, normal),
        brief=lambda steps, seed, judged_on: on_images(
            data, recipe, normal, teacher, steps=steps, seed=seed, judged_on=judged_on
        ),
    )


def task_of_callables(
    train: Callable[..., None] | None, evaluate: Callable[..., float], calibrate: Callable[[], Sequence[Any]]
) -> Task:
    """The user's own loop, data and cluster.

    Args:
        train: called with the module and ``after_step=``, which it must call with the module after every step of its
            optimizer. None: nothing is trained.
        evaluate: called with the module; its accuracy, 0 to 1. Choosing and reporting can't be kept apart here.
        calibrate: called without arguments; batches of inputs as tensors.

    Raises:
        UsageError: an accuracy that is no share.
    """

    def accuracy(module: torch.nn.Module) -> float:
        value = float(evaluate(module))
        if not 0 <= value <= 1:
            raise UsageError(f"an accuracy is a share from 0 to 1, got {value!r}", where="evaluate")
        return value

    def fitted(
        module: torch.nn.Module,
        folder: Path,
        hold: Holding | None,
        *,
        first_step: int = 0,
        keep_step: int | None = None,
    ) -> None:
        if train is None:
            return
        done = 0

        def after_step(now: torch.nn.Module) -> None:
            nonlocal done
            done += 1
            if hold is not None:
                hold(now)
            if done == keep_step:
                folder.mkdir(parents=True, exist_ok=True)
                save_tensors(folder / STEP, now.state_dict(), {"step": done})

        train(module, after_step=after_step)
        if keep_step is not None and done < keep_step:
            raise UsageError(
                f"your training called after_step {done} times, so that there is no step {keep_step}", where="rewind"
            )
        if hold is not None:
            hold(module)

    return Task(
        report=accuracy,
        choose=accuracy,
        train=fitted,
        calibrate=calibrate,
        brief=lambda steps, *_: ByCallables(train=train, evaluate=evaluate, steps=steps),
    )


def inputs_of(pixels: np.ndarray, normalisation: Normalisation) -> Any:
    """Images as a network takes them: float32, N × channels × rows × columns, channels last in memory."""
    mean, deviation = normalisation
    return import_torch().from_numpy((pixels - mean) / deviation).permute(0, 3, 1, 2)


def preprocessing_of(shape: tuple[int, ...], normalisation: Normalisation) -> Preprocessing:
    """How images of that shape (images × rows × columns × channels) become inputs."""
    _, rows, columns, channels = shape
    mean, std = (tuple(float(x) / 255 for x in part) for part in normalisation)
    return Preprocessing(colour="grey" if channels == 1 else "RGB", resize=(rows, columns), mean=mean, std=std)
