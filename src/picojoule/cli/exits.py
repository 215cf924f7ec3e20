"""``picojoule exits``: which network, or which exit of one, should decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.options import Output, output_options

_TABLE = click.Path(path_type=Path)


@click.group("exits", short_help="Energy against accuracy: choose, fit.")
def command() -> None:
    """What a decision costs: the energy of making it against the price of a wrong one."""


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
