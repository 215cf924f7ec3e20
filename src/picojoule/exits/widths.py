"""Two dials on one network: how wide it runs, and where a sample leaves; and the front of both together."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picojoule.errors import InputError, UsageError
from picojoule.exits.deciding import Measured, Setting, settings_of
from picojoule.exits.energies import ExitEnergies, energies_of_heads

if TYPE_CHECKING:
    import torch

    from picojoule.search.policy import Exact
    from picojoule.train import Recipe, Splits
    from picojoule.train.images import Normalisation

Labelled = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWidth:
    """A network at one width.

    Attributes:
        width: share of its channels.
        energies: of its exits; of a network with one, all is trunk.
        choosing: logits of the choosing images, exits × images × classes.
        test: the same of the test images.
        parameters: how many it has; None where that isn't known.
    """

    width: float
    energies: ExitEnergies
    choosing: np.ndarray
    test: np.ndarray
    parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialPoint:
    """A width, and how samples leave there.

    Attributes:
        width: number of the width.
        setting: its policy, and what it does on the choosing images.
        tested: what it does on the test images.
    """

    width: int
    setting: Setting
    tested: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Dials:
    """What the two dials do together, and each by itself.

    Attributes:
        widths: from the narrowest to the widest.
        both: the front of all widths and thresholds on the choosing images, from the cheapest to the most accurate.
        depth: the front of the widest network: its exits alone.
        width: the front of the widths, of which all samples go to the last exit.
        full: energy of a sample that goes to the widest network's last exit, with no other exit asked.
        accuracy: of that on the choosing images.
        tested: of that on the test images.
    """

    widths: tuple[AtWidth, ...]
    both: tuple[DialPoint, ...]
    depth: tuple[DialPoint, ...]
    width: tuple[DialPoint, ...]
    full: float
    accuracy: float
    tested: float

    def cheapest(self, front: str, accuracy: float) -> DialPoint | None:
        """Of a front (``both``, ``depth`` or ``width``) what takes least and is so accurate on the choosing images."""
        points: tuple[DialPoint, ...] = getattr(self, front)
        return next((point for point in points if point.setting.accuracy >= accuracy), None)

    def saved(self, point: DialPoint) -> float:
        """Share of ``full`` that a point saves on the test images."""
        return 1 - point.tested.energy / self.full if self.full else 0.0


def dials(
    widths: Sequence[AtWidth],
    labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    rule: str = "margin",
    combine: bool = False,
    levels: int | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Dials:
    """The front of depth and width together: for every width the thresholds of all exits, and of these what none beats.

    Args:
        widths: of one network, from the narrowest to the widest.
        labels: of the choosing images, which choose everything.
        test_labels: of the test images, which report.
        rule: how sure an exit is, see ``decide``.
        combine: let exits that were passed have a say.
        levels: thresholds tried at each exit.
        folds: of cross-fitted scores.
        seed: see ``folds``.

    Raises:
        InputError: no width, no image, or widths of different exits.
        UsageError: a rule or a number out of range.
    """
    if not widths:
        raise InputError("there is no width", where="widths")
    if len({len(one.choosing) for one in widths}) > 1:
        counts = ", ".join(str(len(one.choosing)) for one in widths)
        raise InputError(f"a network has the same exits at every width, got {counts}", where="widths")
    every = tuple(range(len(widths[0].choosing)))
    more: dict[str, Any] = {"rule": rule, "combine": combine, "levels": levels, "folds": folds, "seed": seed}

    def found(number: int, asked: tuple[int, ...]) -> list[DialPoint]:
        one = widths[number]
        settings, _, _ = settings_of(one.choosing, labels, one.energies, asked, where=f"width {one.width:g}", **more)
        return [
            DialPoint(width=number, setting=setting, tested=setting.policy.measure(one.test, test_labels))
            for setting in settings
        ]

    last = [point for number in range(len(widths)) for point in found(number, every[-1:])]
    by_exits = [found(number, every) if len(every) > 1 else [] for number in range(len(widths))]
    full = last[-1]
    return Dials(
        widths=tuple(widths),
        both=_front([*last, *(point for some in by_exits for point in some)]),
        depth=_front([full, *by_exits[-1]]),
        width=_front(last),
        full=full.setting.energy,
        accuracy=full.setting.accuracy,
        tested=full.tested.accuracy,
    )


def _front(points: Sequence[DialPoint]) -> tuple[DialPoint, ...]:
    """Those that none beats on the choosing images, from the cheapest to the most accurate."""
    found: list[DialPoint] = []
    for point in sorted(points, key=lambda one: (one.setting.energy, -one.setting.accuracy)):
        if not found or point.setting.accuracy > found[-1].setting.accuracy:
            found.append(point)
    return tuple(found)


def energies_at(
    module: torch.nn.Module, example: Any, *, hardware: Any, heads: Sequence[str] = (), search: Exact | None = None
) -> tuple[ExitEnergies, str]:
    """Energies of a network's exits on a machine, data movement included, and their unit.

    Args:
        module: the network.
        example: an input of batch 1.
        hardware: the machine.
        heads: the last layer of each exit; none for a network of one.
        search: of mappings, see ``estimate``.

    Raises:
        PicojouleError: of ``estimate`` and ``energies_of_heads``.
    """
    from picojoule.estimation.uninterrupted import estimate_uninterrupted

    policy = {} if search is None else {"search": search}
    result = estimate_uninterrupted(module, example, hardware=hardware, **policy)
    unit = str(result.table["unit"])
    if heads:
        return energies_of_heads(result, heads), unit
    return ExitEnergies(trunk=(result.energy_pj_per_inference,), heads=(0.0,)), unit


def widen(
    model: Any,
    example_input: Any = None,
    *,
    data: str | Path | Splits,
    hardware: Any,
    output: Path,
    widths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    heads: Sequence[str] = (),
    grid: int = 1,
    recipe: Recipe | None = None,
    weights: Path | None = None,
    normalisation: Normalisation | None = None,
    rule: str = "margin",
    combine: bool = False,
    levels: int | None = None,
    search: Exact | None = None,
    seed: int = 0,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[Dials, str]:
    """Trains a network at several widths at once and finds the front of width and depth.

    Args:
        model: an ``nn.Module``, or ``package.module:factory``; trained. Its results are logits, of one exit or of several.
        example_input: of batch 1, unless the factory gives one.
        data: labelled images: ``digits``, a folder with CIFAR-10, or splits.
        hardware: the machine whose energy is meant.
        output: folder: checkpoints of the training, and for each width ``width-W`` with weights and a bundle. If the machine's
            energies are in pJ it has operating points, chosen on the choosing images (nothing is guaranteed); of a network
            of one exit, one. A training that stopped there goes on; one of another network, recipe or data,
            or at other widths, is refused.
        widths: shares of the channels, rising, the last is 1.
        heads: the last layer of each exit, where there are several.
        grid: channels come in multiples of it.
        recipe: of the training; by default ``slimming.TUNING``, without moving or mirroring small images.
        weights: a safetensors file with the network's weights.
        normalisation: of pixels, as the network was trained; by default that of the training images.
        rule: see ``dials``.
        combine: see ``dials``.
        levels: see ``dials``.
        search: of mappings, see ``estimate``.
        seed: of the folds.
        note: told how it goes.

    Returns:
        The fronts, and the unit of their energies.

    Raises:
        UsageError: the model, widths or heads don't do, or another training lies in the folder.
        PicojouleError: of reading data, training, estimating and exporting.
    """
    from picojoule.compress.request import machine_digest, request_of
    from picojoule.compress.stages import Stages
    from picojoule.compress.subject import subject_of
    from picojoule.compress.task import inputs_of
    from picojoule.exits.deploying import deploy
    from picojoule.exits.slimming import check_widths, train_widths, tuning_for
    from picojoule.hardware import Accelerator, load_hardware
    from picojoule.train import predict
    from picojoule.train.datasets import read_dataset
    from picojoule.train.images import Splits as Images

    subject = subject_of(model, example_input, weights=weights)
    exits = _exits_of(subject.module, subject.example)
    if exits > 1 and len(heads) != exits:
        raise UsageError(
            f"the network has {exits} exits, {len(heads)} heads are named",
            where="heads",
            hint="Name the last layer of each exit, in order: --heads fc0,fc1,fc2.",
        )
    if exits == 1 and heads:
        raise UsageError("a network of one exit needs no heads", where="heads")
    check_widths(widths)
    splits = data if isinstance(data, Images) else read_dataset(data)
    normal = normalisation or splits.normalisation()
    recipe = tuning_for(splits) if recipe is None else recipe
    # Of the training alone: another machine prices the same networks, and replaces all bundles.
    asked = {"widths": [float(width) for width in widths], "grid": grid}
    stages = Stages(output, request_of(subject, asked, machine=None, data=splits, normalisation=normalisation, recipe=recipe))

    def told(line: Mapping[str, Any]) -> None:
        note(f"epoch {line['epoch'] + 1} of {recipe.epochs}: {line['score']:.2%} right, mean of widths and exits")

    networks = train_widths(
        subject.module, subject.example, splits,
        folder=output / "training", widths=widths, grid=grid, recipe=recipe, normalisation=normal, note=told,
    )  # fmt: skip
    machine = hardware if isinstance(hardware, Accelerator) else load_hardware(hardware)
    priced = hashlib.sha256(f"{machine_digest(machine)} {list(heads)} {search}".encode()).hexdigest()[:16]
    parts, unit = [], ""
    for width, network in zip(widths, networks, strict=True):
        note(f"width {width:g}: energies")
        kept = stages.figures(
            f"energies-{width:g}-{priced}",
            lambda network=network: _plain(*energies_at(network, subject.example, hardware=machine, heads=heads, search=search)),
        )
        unit = kept["unit"]
        parts.append(ExitEnergies(trunk=tuple(kept["trunk"]), heads=tuple(kept["heads"])))
    for width in widths:  # bundles of two machines must not lie beside one another, whatever breaks this off
        shutil.rmtree(output / f"width-{width:g}" / "bundle", ignore_errors=True)
    found = []
    for width, network, energies in zip(widths, networks, parts, strict=True):
        note(f"width {width:g}: weights and bundle")
        folder = output / f"width-{width:g}"
        _keep(network, subject.example, folder, splits, normal)
        if unit == "pJ":
            inputs = inputs_of(splits.choose.pixels, normal).contiguous().numpy().astype(np.float32)
            deploy(
                folder / "bundle", folder / "bundle", (inputs, splits.choose.labels), energies,
                machine=machine.name, rule=rule, combine=combine, levels=levels, seed=seed,
                force=True,
            )  # fmt: skip
        found.append(
            AtWidth(
                width=float(width),
                energies=energies,
                choosing=predict(network, splits.choose, normal),
                test=predict(network, splits.test, normal),
                parameters=sum(parameter.numel() for parameter in network.parameters()),
            )
        )
    return dials(found, splits.choose.labels, splits.test.labels, rule=rule, combine=combine, levels=levels, seed=seed), unit


def _plain(energies: ExitEnergies, unit: str) -> dict[str, Any]:
    return {"trunk": energies.trunk, "heads": energies.heads, "unit": unit}


def _keep(network: Any, example: Any, folder: Path, data: Splits, normal: Normalisation) -> None:
    from picojoule.compress.handover import PARITY
    from picojoule.compress.task import preprocessing_of
    from picojoule.runtime import export_bundle
    from picojoule.train.checkpoint import save_tensors
    from picojoule.train.torch_extra import import_torch

    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "network.safetensors", network.state_dict(), {})
    plain = _of_input(network).to(memory_format=import_torch().contiguous_format).eval()
    export_bundle(
        plain, folder / "bundle", example, preprocess=preprocessing_of(data.train.pixels.shape, normal), tolerance=PARITY, force=True
    )


def _of_input(network: Any) -> Any:
    """The network with an input of the name that all bundles of ours have."""
    from picojoule.train.torch_extra import import_torch

    class Named(import_torch().nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input: Any) -> Any:
            return self.network(input)

    Named.__name__ = type(network).__name__  # which the bundle tells as its source
    return Named()


def _exits_of(module: Any, example: Any) -> int:
    from picojoule.train.torch_extra import import_torch

    torch = import_torch()
    with torch.no_grad():
        returned = module(example)
    return 1 if isinstance(returned, torch.Tensor) else len(returned)

