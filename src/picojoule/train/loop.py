"""The training loop: deterministic, with a checkpoint after every epoch, from which it goes on where it stopped."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.atomic_file import replace_file
from picojoule.errors import InputError, SystemFailure, UsageError
from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.images import Images, Normalisation, Splits, augmented
from picojoule.train.recipe import Recipe
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

Teach = Callable[["torch.Tensor"], "torch.Tensor"]
"""From a batch of inputs to the logits that are to be learnt."""

LAST, BEST, LOG, STEP = "last.safetensors", "best.safetensors", "log.jsonl", "step.safetensors"
SOFTENED = 4.0
"""Temperature of distillation."""
_WARM_UP, _START, _END = 0.3, 25.0, 1e4


def fit(
    module: torch.nn.Module,
    data: Splits,
    recipe: Recipe,
    *,
    folder: Path,
    note: Callable[[dict[str, Any]], None] = lambda _: None,
    normalisation: Normalisation | None = None,
    after_step: Callable[[torch.nn.Module], None] | None = None,
    teacher: torch.nn.Module | None = None,
    first_step: int = 0,
    keep_step: int | None = None,
) -> dict[str, Any]:
    """Trains ``module`` and leaves in it the weights of the epoch that did best on the choosing images.

    The module takes images (batch × channels × rows × columns) and returns logits (batch × classes), or a sequence of
    such, one for each exit; the loss is the sum of their cross entropies, the score their mean accuracy.
    Parameters with ``requires_grad`` off stay as they are. Randomness inside the module must come from PyTorch's
    default generator: it is seeded anew for every epoch, so that a training that was broken off repeats the rest
    exactly.

    Args:
        module: on any device; it is trained there.
        data: train and choose are used, test is not.
        recipe: how.
        folder: of ``last.safetensors`` (weights, Adam's moments), ``best.safetensors`` (weights) and ``log.jsonl``
            (a line for each epoch). If it holds a training by the same recipe, that one is continued.
        note: called with each new line of the log.
        normalisation: mean and deviation of pixels (0–255) by channel; by default those of the training images.
        after_step: called with the module after every step of the optimizer: to hold weights where they must be.
        teacher: whose last logits the network learns from as far as ``recipe.distil`` says.
        first_step: steps of the schedule that the weights have behind them: images and rates go on there, moments begin anew.
        keep_step: the weights as they are before this step are kept, too, as ``step.safetensors``.

    Returns:
        The line of the log that belongs to the weights.

    Raises:
        UsageError: the schedule has no such step.
        InputError: the folder holds a training by another recipe or of another network.
        SystemFailure: the folder can't be written.
    """
    torch = import_torch()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise SystemFailure(f"can't make the folder: {failure.strerror}", where=str(folder)) from failure
    each = steps_of_an_epoch(len(data.train), recipe)
    for name, step in (("first_step", first_step), ("keep_step", keep_step or 0)):
        if not 0 <= step < recipe.epochs * each:
            raise UsageError(f"the schedule has {recipe.epochs * each} steps, got {step}", where=name)
    optimizer = _adam(torch, module, recipe)
    lines = _resume(torch, module, optimizer, recipe, folder)
    normal = normalisation or data.normalisation()
    while not _finished(lines, recipe, first_step // each):
        epoch = first_step // each + len(lines)
        started, cpu = time.perf_counter(), time.process_time()
        span = _Span(first_step, keep_step, folder / STEP)
        loss, trained = _epoch(torch, module, optimizer, data.train, recipe, epoch, normal, after_step, teacher, span)
        chosen = accuracies(predict(module, data.choose, normal, precision=recipe.precision), data.choose.labels)
        line = {
            "epoch": epoch,
            "loss": loss,
            "train_accuracy": trained,
            "choose_accuracy": chosen,
            "score": math.fsum(chosen) / len(chosen),
            "wall_s": time.perf_counter() - started,
            "cpu_s": time.process_time() - cpu,
        }
        if not math.isfinite(loss):
            raise InputError(f"the loss of epoch {epoch} is {loss}", where=str(folder), hint="Lower the peak rate.")
        lines.append(line)
        _keep(module, optimizer, recipe, folder, lines)
        note(line)
    weights, facts = load_tensors(folder / BEST)
    module.load_state_dict(weights)
    return facts["log"]


def predict(
    module: torch.nn.Module,
    images: Images,
    normalisation: Normalisation,
    *,
    precision: str = "float32",
    batch: int = 250,
) -> np.ndarray:
    """What a network answers to images, without dropout.

    Args:
        module: as ``fit`` takes it.
        images: to answer.
        normalisation: mean and deviation of each channel, of the images that the network was trained on.
        precision: ``float32`` or ``bfloat16``, of convolutions and products.
        batch: images at a time.

    Returns:
        Logits: float32, exits × images × classes.
    """
    torch = import_torch()
    module.eval()
    parts = []
    with torch.inference_mode():
        for first in range(0, len(images), batch):
            x = _input(torch, module, images.pixels[first : first + batch], normalisation, precision)
            with _arithmetic(torch, x, precision):
                parts.append(torch.stack([exit_.float() for exit_ in _exits(torch, module(x))]).cpu().numpy())
    return np.concatenate(parts, axis=1)


def accuracies(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """The share of images whose largest logit is their label's, by exit.

    Args:
        logits: exits × images × classes.
        labels: integers, one per image.
    """
    return [float(share) for share in (logits.argmax(2) == labels).mean(1)]


def _epoch(
    torch: Any,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    recipe: Recipe,
    epoch: int,
    normal: Normalisation,
    after_step: Callable[[torch.nn.Module], None] | None,
    teacher: torch.nn.Module | None,
    span: _Span,
) -> tuple[float, list[float]]:
    """One pass over the images: the mean loss, and the accuracies seen on the way (dropout on, weights moving)."""
    teach = None if teacher is None else functools.partial(_taught, torch, teacher, recipe)
    module.train()
    torch.manual_seed(int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0]))
    batches = list(_order(len(images), recipe, epoch))
    steps = recipe.epochs * len(batches)
    total, right, seen = 0.0, None, 0
    for index, chosen in enumerate(batches):
        step = epoch * len(batches) + index
        if step == span.kept:
            save_tensors(span.file, module.state_dict(), {"step": step})
        if step < span.first:
            continue
        seen += len(chosen)
        for group in optimizer.param_groups:
            group["lr"] = recipe.peak_rate * _cycle(step / max(1, steps - 1))
        pixels = images.pixels[chosen]
        if recipe.augment:
            pixels = augmented(pixels, np.random.default_rng([recipe.seed, epoch, index]))
        exits, y, loss = _step(torch, module, optimizer, pixels, images.labels[chosen], recipe, normal, teach)
        if after_step is not None:
            after_step(module)
        with torch.no_grad():
            hits = torch.stack([(logits.argmax(1) == y).sum() for logits in exits])
        right = hits if right is None else right + hits
        total += float(loss.detach())
    return total / max(1, seen // len(batches[0])), [float(count) / seen for count in right]


def few_steps(
    module: torch.nn.Module,
    batches: Sequence[tuple[np.ndarray, np.ndarray]],
    recipe: Recipe,
    *,
    normalisation: Normalisation,
    taught: Sequence[np.ndarray] | None = None,
    teacher: torch.nn.Module | None = None,
) -> None:
    """A step of training for each batch, under one cycle of the rate; nothing is kept and nothing compared.

    Args:
        module: as ``fit`` takes it; it is trained in place.
        batches: pixels and labels, as they are to be shown.
        recipe: rate, penalty, distillation and precision; the rest is in the batches.
        normalisation: mean and deviation of pixels (0–255) by channel.
        taught: a teacher's logits for each batch, as ``lessons`` gives them.
        teacher: asked at every step instead, as one must be that looks at what ``module`` has just answered.
    """
    torch = import_torch()
    module.train()
    optimizer = _adam(torch, module, recipe)
    for index, (pixels, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.peak_rate * _cycle(index / max(1, len(batches) - 1))
        teach: Teach | None = None
        if taught is not None:
            teach = functools.partial(_same, torch.from_numpy(taught[index]))
        elif teacher is not None:
            teach = functools.partial(_taught, torch, teacher, recipe)
        _step(torch, module, optimizer, pixels, labels, recipe, normalisation, teach)
    module.eval()


def lessons(
    teacher: torch.nn.Module,
    batches: Sequence[tuple[np.ndarray, np.ndarray]],
    recipe: Recipe,
    normalisation: Normalisation,
) -> list[np.ndarray]:
    """What a teacher answers to each batch: batch × classes, float32. The arguments are those of ``few_steps``."""
    torch = import_torch()
    return [
        _taught(torch, teacher, recipe, _input(torch, teacher, pixels, normalisation, recipe.precision)).cpu().numpy()
        for pixels, _ in batches
    ]


def _same(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return logits.to(x.device)


def _taught(torch: Any, teacher: torch.nn.Module, recipe: Recipe, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), _arithmetic(torch, x, recipe.precision):
        answered: torch.Tensor = _exits(torch, teacher.eval()(x))[-1].float()
    return answered


def _step(
    torch: Any,
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    normal: Normalisation,
    teach: Teach | None,
) -> tuple[Sequence[torch.Tensor], torch.Tensor, torch.Tensor]:
    """One step of the optimizer: the logits by exit, the labels, and the loss before it."""
    x = _input(torch, module, pixels, normal, recipe.precision)
    y = torch.from_numpy(labels).to(x.device)
    with _arithmetic(torch, x, recipe.precision):
        exits: Sequence[torch.Tensor] = [logits.float() for logits in _exits(torch, module(x))]
    loss = sum(torch.nn.functional.cross_entropy(logits, y) for logits in exits)
    if teach is not None and recipe.distil:
        taught = teach(x)
        loss = (1 - recipe.distil) * loss + recipe.distil * sum(_apart(torch, logits, taught) for logits in exits)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return exits, y, loss


def _apart(torch: Any, logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """How far a network's answers are from its teacher's, both softened: the divergence, in the scale of a cross entropy."""
    functional = torch.nn.functional
    own = functional.log_softmax(logits / SOFTENED, 1)
    aim = functional.log_softmax(taught / SOFTENED, 1)
    return functional.kl_div(own, aim, log_target=True, reduction="batchmean") * SOFTENED**2


def _exits(torch: Any, returned: Any) -> Sequence[torch.Tensor]:
    """The logits of a network that returns one tensor are those of its only exit."""
    return [returned] if isinstance(returned, torch.Tensor) else returned


def steps_of_an_epoch(count: int, recipe: Recipe) -> int:
    """Of ``count`` images."""
    return count // min(recipe.batch, count)


@dataclass(frozen=True, slots=True)
class _Span:
    """Steps of the whole schedule: the first that is made, and the one before which the weights are kept."""

    first: int
    kept: int | None
    file: Path


def _order(count: int, recipe: Recipe, epoch: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng([recipe.seed, epoch]).permutation(count)
    size = min(recipe.batch, count)
    return (order[first : first + size] for first in range(0, count - size + 1, size))


def _cycle(done: float) -> float:
    """The learning rate relative to its peak when a share ``done`` of all steps is done: two half cosines."""
    if done < _WARM_UP:
        low, high, share = 1 / _START, 1.0, done / _WARM_UP
    else:
        low, high, share = 1 / (_START * _END), 1.0, (1 - done) / (1 - _WARM_UP)
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def _adam(torch: Any, module: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    free = [p for p in module.parameters() if p.requires_grad]
    # The gradient of λ·‖w‖² is 2·λ·w; torch's weight_decay is the factor of w.
    return torch.optim.Adam(
        [
            {"params": [p for p in free if p.ndim > 1], "weight_decay": 2 * recipe.l2},
            {"params": [p for p in free if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.peak_rate,
        fused=True,
    )


def _input(
    torch: Any, module: torch.nn.Module, pixels: np.ndarray, normal: Normalisation, precision: str
) -> torch.Tensor:
    mean, deviation = normal
    x = torch.from_numpy((pixels - mean) / deviation).permute(0, 3, 1, 2)
    return x.to(next(module.parameters()).device, getattr(torch, precision), memory_format=torch.channels_last)


def _arithmetic(torch: Any, x: torch.Tensor, precision: str) -> Any:
    return torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _finished(lines: list[dict[str, Any]], recipe: Recipe, skipped: int) -> bool:
    if skipped + len(lines) >= recipe.epochs:
        return True
    return recipe.patience is not None and bool(lines) and len(lines) - 1 - _best(lines) >= recipe.patience


def _best(lines: list[dict[str, Any]]) -> int:
    return max(range(len(lines)), key=lambda epoch: lines[epoch]["score"])


def _keep(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    folder: Path,
    lines: list[dict[str, Any]],
) -> None:
    weights = module.state_dict()
    if _best(lines) == len(lines) - 1:
        save_tensors(folder / BEST, weights, {"recipe": asdict(recipe), "log": lines[-1]})
    state = {f"module.{name}": tensor for name, tensor in weights.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        state |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
    # Last, and with the log inside: whatever stands in it is complete.
    save_tensors(folder / LAST, state, {"recipe": asdict(recipe), "log": lines})
    replace_file(folder / LOG, "".join(json.dumps(line) + "\n" for line in lines))


def _resume(
    torch: Any, module: torch.nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, folder: Path
) -> list[dict[str, Any]]:
    path = folder / LAST
    if not path.exists():
        return []
    state, facts = load_tensors(path)
    # A field that is newer than the checkpoint had its default then.
    if {**asdict(Recipe()), **facts.get("recipe", {})} != asdict(recipe):
        raise InputError(
            f"a training by another recipe lies here: {facts.get('recipe')}, asked for is {asdict(recipe)}",
            where=str(path),
            hint="Name another folder, or the same recipe.",
        )
    weights = {name.removeprefix("module."): tensor for name, tensor in state.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as problem:
        raise InputError(
            f"a training of another network lies here: {problem}", where=str(path), hint="Name another folder."
        ) from None
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith("adam."):
            _, index, kind = name.split(".")
            moments.setdefault(int(index), {})[kind] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return list(facts["log"])
