"""``picojoule exits``: which network, or which exit of one, should decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.exits_add import command as add_
from picojoule.cli.options import Output, output_options
from picojoule.cli.streams import write_stdout

_TABLE = click.Path(path_type=Path)


@click.group("exits", short_help="Energy against accuracy: add, choose, decide, deploy, fit.")
def command() -> None:
    """What a decision costs: the energy of making it against the price of a wrong one."""


command.add_command(add_)


@command.command("choose", short_help="The network of least cost for an importance of energy.")
@click.argument("table", type=_TABLE)
@click.option("--alpha", metavar="A", type=float, help="Importance of the energy, 0 to 1.")
@click.option(
    "--gamma", metavar="G", type=float, help="Instead of --alpha: energy of a bad decision over a good one, from 1."
)
@click.option(
    "--energy-ratio",
    metavar="R",
    type=float,
    help="With --gamma: E_X/E_Dmax, a good decision over the dearest inference.",
)
@click.option("--fit", metavar="LAW", help="Fit a law and say where its least cost lies: exponential or rational.")
@click.option("--hardware", metavar="HW", help="Take energies from an estimate on this machine; else MACs.")
@output_options("table", "json", "csv")
def choose_(
    *,
    table: Path,
    alpha: float | None,
    gamma: float | None,
    energy_ratio: float | None,
    fit: str | None,
    hardware: str | None,
    output: Output,
) -> None:
    """Say which network of TABLE decides at the least cost.

    TABLE is CSV or JSON with a column `accuracy`, and one of `energy`, `model` (as `picojoule estimate` takes it),
    `depth` or `width` (of Merkel's networks). The cost is α·E/Emax + (1 − α)·(1 − accuracy).
    """
    from picojoule.exits import choose, read_candidates
    from picojoule.exits.choice import check_importance
    from picojoule.reporting import choice_csv, choice_data, choice_text

    check_importance(alpha, gamma, energy_ratio)
    choice = choose(
        read_candidates(table, hardware=hardware), alpha=alpha, gamma=gamma, energy_ratio=energy_ratio, fit=fit
    )
    unit = _unit(table, hardware)
    if output.format == "json":
        output.write(_json(choice_data(choice, unit=unit)))
    elif output.format == "csv":
        output.write(choice_csv(choice))
    else:
        output.write(choice_text(choice, unit=unit, width=output.width, color=output.colored))


@command.command("decide", short_help="When to leave a network with exits.")
@click.argument("logits", type=_TABLE)
@click.option("--target-accuracy", metavar="A", type=float, required=True, help="Accuracy to reach, 0 to 1.")
@click.option("--energies", metavar="LIST|FILE", help="Energy of leaving at each exit: 1,4,9 or JSON by trunk and heads.")
@click.option("--hardware", metavar="HW", help="Instead: energies from an estimate of --model on this machine.")
@click.option("--model", metavar="MODEL", help="With --hardware: the network with all exits, as estimate takes it.")
@click.option("--heads", metavar="LAYERS", help="With --hardware: the last layer of each exit, commas between.")
@click.option("--calibration", metavar="FILE", type=_TABLE, help="Logits and labels of other images, for a guarantee.")
@click.option(
    "--delta", metavar="D", type=float, default=0.1, show_default=True, help="Chance that the guarantee may fail."
)
@click.option("--next-images", metavar="N", type=int, help="Guarantee the next N images, not the long run.")
@click.option("--test", metavar="FILE", type=_TABLE, help="Logits and labels of yet other images, to report on.")
@click.option(
    "--rule", metavar="RULE", default="max", show_default=True, help="Confidence: max, margin, entropy or learned."
)
@click.option("--combine", is_flag=True, help="Let exits that were passed have a say in the answers.")
@click.option("--ask", metavar="all|best", default="all", show_default=True, help="Exits to ask; best tries every set.")
@click.option("--levels", metavar="N", type=int, help="Thresholds to try at each exit; by default as many as is quick.")
@click.option("--folds", metavar="N", type=int, default=5, show_default=True, help="Parts to cross-fit scores in.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw of the folds.")
@output_options("table", "json")
def decide_(
    *,
    logits: Path,
    target_accuracy: float,
    energies: str | None,
    hardware: str | None,
    model: str | None,
    heads: str | None,
    calibration: Path | None,
    delta: float,
    next_images: int | None,
    test: Path | None,
    rule: str,
    combine: bool,
    ask: str,
    levels: int | None,
    folds: int,
    seed: int,
    output: Output,
) -> None:
    """Say from which scores on samples leave at the exits of a network, for the least energy at a target accuracy.

    LOGITS is a NumPy archive (.npz) with `logits`, exits × images × classes, and `labels`, of images that didn't train
    the network. It fits temperatures and chooses all thresholds together; --calibration adds the guarantee.
    """
    from picojoule.exits import curve_of, decide
    from picojoule.exits.decision_files import read_logits
    from picojoule.exits.guarantee import check_reports
    from picojoule.reporting import decision_data, decision_text

    chosen, labels = read_logits(logits)
    held = read_logits(calibration) if calibration is not None else None
    reported = read_logits(test) if test is not None else None
    if reported is not None:
        samples = (None if one is None else one[0].swapaxes(0, 1) for one in (reported, (chosen,), held))
        check_reports(*samples, where=str(test))
    parts, unit = _energies(energies, hardware, model, heads)
    found = decide(
        chosen,
        labels,
        parts,
        target_accuracy=target_accuracy,
        calibration=held,
        delta=delta,
        next_images=next_images,
        rule=rule,
        combine=combine,
        ask=ask,
        levels=levels,
        folds=folds,
        seed=seed,
        where=str(logits),
        calibration_where=str(calibration),
    )
    tested = found.policy.measure(*reported, where=str(test)) if reported is not None else None
    if output.format == "json":
        name, part = ("test", reported) if reported is not None else ("calibration", held)
        name, part = (name, part) if part is not None else ("choosing", (chosen, labels))
        output.write(_json(decision_data(found, tested, unit=unit, curve=curve_of(found, *part), curve_of=name)))
    else:
        output.write(decision_text(found, tested, unit=unit, width=output.width, color=output.colored))


@command.command("deploy", short_help="A bundle whose sessions choose how much energy to spend.")
@click.argument("bundle", type=_TABLE)
@click.option(
    "--choosing", metavar="FILE", type=_TABLE, required=True, help="Inputs and labels (.npz) that choose thresholds."
)
@click.option("--calibration", metavar="FILE", type=_TABLE, help="Inputs and labels of other samples, for guarantees.")
@click.option("--energies", metavar="LIST|FILE", help="Energy of leaving at each exit in pJ: 1e6,4e6 or JSON by parts.")
@click.option("--hardware", metavar="HW", help="Instead: energies from an estimate of --model on this machine.")
@click.option("--model", metavar="MODEL", help="With --hardware: the network with all exits, as estimate takes it.")
@click.option("--heads", metavar="LAYERS", help="With --hardware: the last layer of each exit, commas between.")
@click.option(
    "--target-accuracy", metavar="A", type=float, help="The point for it runs where a call asks for nothing."
)
@click.option(
    "--delta", metavar="D", type=float, default=0.1, show_default=True, help="Chance that a guarantee may fail."
)
@click.option("--rule", metavar="RULE", default="margin", show_default=True, help="max, margin, entropy or learned.")
@click.option("--combine", is_flag=True, help="Let exits that were passed have a say in the answers.")
@click.option("--ask", metavar="all|best", default="all", show_default=True, help="Exits to ask; best tries every set.")
@click.option("--levels", metavar="N", type=int, help="Thresholds to try at each exit; by default as many as is quick.")
@click.option("--points", metavar="N", type=int, default=32, show_default=True, help="Operating points to keep at most.")
@click.option("--int8", is_flag=True, help="Make the stages INT8 first; ranges come from samples of --choosing.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw of the folds.")
@output_options("table", "json", folders=True)
def deploy_(
    *,
    bundle: Path,
    choosing: Path,
    calibration: Path | None,
    energies: str | None,
    hardware: str | None,
    model: str | None,
    heads: str | None,
    target_accuracy: float | None,
    delta: float,
    rule: str,
    combine: bool,
    ask: str,
    levels: int | None,
    points: int,
    int8: bool,
    seed: int,
    output: Output,
) -> None:
    """Write BUNDLE again with operating points, of which every call of a session takes one.

    The bundle's stages answer the samples of --choosing, which fit confidences and choose thresholds for every accuracy.
    Those of --calibration, which must be others, say what each point achieves, guarantee it, and tell where samples
    leave. Files are as `picojoule run --input` takes them, with an array `labels`.
    """
    import tempfile

    from picojoule.errors import InputError, UsageError
    from picojoule.exits import deploy
    from picojoule.exits.deploying import read_labelled
    from picojoule.reporting.bundles import bundle_data, bundle_text
    from picojoule.runtime import read_bundle
    from picojoule.runtime.bundle_folder import check_folder

    if output.to_stdout or output.path is None:
        raise UsageError("a bundle goes into a folder", where="-o", hint="Name it: -o PATH")
    check_folder(output.path, force=output.force)
    parts, unit = _energies(energies, hardware, model, heads)
    if unit not in ("", "pJ"):
        raise InputError(
            f"operating points are in joules, and {hardware} tells energies in {unit}",
            where="--hardware",
            hint="Take a machine whose table is in pJ, or give --energies.",
        )
    source = read_bundle(bundle)
    chosen = read_labelled(choosing, source.manifest)
    held = None if calibration is None else read_labelled(calibration, source.manifest)
    with tempfile.TemporaryDirectory() as scratch:
        if int8:
            from picojoule.compress import quantize_bundle

            source = quantize_bundle(
                source, Path(scratch) / "int8", chosen[0][:512], compare=chosen[0], labels=chosen[1]
            )
        made = deploy(
            source,
            output.path,
            chosen,
            parts,
            calibration=held,
            machine=hardware or "",
            target_accuracy=target_accuracy,
            delta=delta,
            rule=rule,
            combine=combine,
            ask=ask,
            levels=levels,
            points=points,
            seed=seed,
            force=output.force,
        )
    if output.format == "json":
        text = _json(bundle_data(made))
    else:
        text = bundle_text(made, width=output.width, color=output.colored)
    write_stdout(text, utf8=output.format == "json")
    output.note(f" wrote {output.path}")


@command.command("widths", short_help="A network at several widths, and the front of width and depth.")
@click.argument("model")
@click.option("--data", metavar="DATA", required=True, help='Labelled images: "digits", or a folder with CIFAR-10.')
@click.option("--hardware", metavar="HW", required=True, help="The machine whose energy is meant.")
@click.option("--folder", metavar="DIR", type=_TABLE, required=True, help="For all files; what was broken off goes on.")
@click.option("--widths", metavar="W,W,…", default="0.25,0.5,0.75,1", show_default=True, help="Shares of the channels.")
@click.option("--heads", metavar="LAYERS", help="Of a network with exits: the last layer of each, commas between.")
@click.option("--target-accuracy", metavar="A", type=float, help="To compare at.  [default: the widest's less 0.002]")
@click.option("--grid", metavar="N", type=int, default=1, show_default=True, help="Channels come in multiples of it.")
@click.option("--weights", metavar="FILE", type=_TABLE, help="A safetensors file with the network's weights.")
@click.option("--normalise", metavar="M,…/D,…", help="Mean/deviation of pixels, 0 to 1.  [default: of the images]")
@click.option("--epochs", metavar="N", type=click.IntRange(min=1), help="Of training all widths.  [default: 6]")
@click.option("--rate", metavar="R", type=float, help="Peak learning rate.  [default: 0.001]")
@click.option("--distil", metavar="S", type=float, help="Share of the loss that the network as it was teaches.  [default: 0.5]")
@click.option("--rule", metavar="RULE", default="margin", show_default=True, help="max, margin, entropy or learned.")
@click.option("--combine", is_flag=True, help="Let exits that were passed have a say in the answers.")
@click.option("--levels", metavar="N", type=int, help="Thresholds to try at each exit; by default as many as is quick.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of the training, and of the folds.")
@output_options("table", "json")
def widths_(
    *,
    model: str,
    data: str,
    hardware: str,
    folder: Path,
    widths: str,
    heads: str | None,
    target_accuracy: float | None,
    grid: int,
    weights: Path | None,
    normalise: str | None,
    epochs: int | None,
    rate: float | None,
    distil: float | None,
    rule: str,
    combine: bool,
    levels: int | None,
    seed: int,
    output: Output,
) -> None:
    """Train MODEL at several widths at once, with shared weights, and show the front of its width and its exits together.

    MODEL is package.module:factory: a function that returns a trained nn.Module, of one exit or several, and an example
    input. The folder then holds weights and a bundle of each width. Widths and thresholds are chosen on the choosing
    images of DATA, and shown on its test images.
    """
    from dataclasses import replace

    from picojoule.cli.compression import parse_normalisation
    from picojoule.exits.guarantee import check_target
    from picojoule.exits.widths import widen
    from picojoule.reporting.dials import dials_data, dials_text
    from picojoule.train.datasets import read_dataset

    if target_accuracy is not None:
        check_target(target_accuracy)
    images = read_dataset(data)
    from picojoule.exits.slimming import tuning_for

    asked = {"epochs": epochs, "peak_rate": rate, "distil": distil, "seed": seed}
    found, unit = widen(
        model,
        data=images,
        hardware=hardware,
        output=folder,
        widths=_numbers(widths, "--widths"),
        heads=[] if heads is None else [name.strip() for name in heads.split(",")],
        grid=grid,
        recipe=replace(tuning_for(images), **{name: value for name, value in asked.items() if value is not None}),
        weights=weights,
        normalisation=None if normalise is None else parse_normalisation(normalise),
        rule=rule,
        combine=combine,
        levels=levels,
        seed=seed,
        note=output.note,
    )
    target = found.accuracy - 0.002 if target_accuracy is None else target_accuracy
    if output.format == "json":
        output.write(_json(dials_data(found, unit=unit, target=target)))
    else:
        output.write(dials_text(found, unit=unit, target=target, width=output.width, color=output.colored))
    output.note(f" wrote {folder}       next: picojoule run {folder}/width-{found.widths[0].width:g}/bundle --input IMAGES")


def _numbers(text: str, option: str) -> list[float]:
    from picojoule.errors import UsageError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{text!r} are no numbers", where=option, hint="For example: 0.5,0.75,1") from None


def _energies(energies: str | None, hardware: str | None, model: str | None, heads: str | None) -> tuple[Any, str]:
    """Energies of the exits with their unit, given or estimated."""
    from picojoule.errors import UsageError
    from picojoule.exits import energies_of_heads
    from picojoule.exits.decision_files import read_energies

    if (energies is None) == (hardware is None):
        raise UsageError(
            "energies come from --energies or from --hardware, one of the two",
            where="--energies",
            hint="--energies 2.1e6,3.1e7,5.6e7, or --hardware HW --model MODEL --heads LAYER,LAYER,LAYER.",
        )
    if energies is not None:
        if model is not None or heads is not None:
            raise UsageError("--model and --heads belong to --hardware", where="--energies")
        return read_energies(energies), ""
    if model is None or heads is None:
        raise UsageError("--hardware needs --model and --heads", where="--hardware")
    from picojoule.estimation import estimate

    result = estimate(model, hardware=hardware)
    return energies_of_heads(result, [name.strip() for name in heads.split(",")]), result.table["unit"]


@command.command("fit", short_help="A law of size or energy against accuracy.")
@click.argument("table", type=_TABLE)
@click.option("--law", metavar="LAW", default="exponential", show_default=True, help="exponential or rational.")
@click.option(
    "--size", metavar="COLUMN", default="size", show_default=True, help="The column that grows with accuracy."
)
@output_options("table", "json")
def fit_(*, table: Path, law: str, size: str, output: Output) -> None:
    """Fit a law through the sizes of TABLE against their accuracies, as Merkel's Fig. 1 does for networks on ImageNet.

    TABLE is CSV or JSON with the columns `accuracy`, COLUMN and, if you like, `name`. Other columns are left alone.
    """
    from picojoule.exits import fit, read_points
    from picojoule.reporting import fit_data, fit_text

    names, accuracies, sizes = read_points(table, size)
    found = fit(law, accuracies, sizes)
    if output.format == "json":
        output.write(_json(fit_data(found, names, accuracies, sizes, size=size)))
    else:
        output.write(fit_text(found, names, accuracies, sizes, size=size, width=output.width, color=output.colored))


def _unit(table: Path, hardware: str | None) -> str:
    from picojoule.exits.table import read_rows
    from picojoule.hardware import load_hardware

    if hardware is not None:
        return load_hardware(hardware).unit
    return "" if any("energy" in row for _, row in read_rows(table)) else "MACs"


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
