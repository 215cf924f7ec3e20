"""``picojoule hardware``: the machines that come with picojoule, checks of one's own, and imports of others'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picojoule.cli.options import Output, output_options
from picojoule.errors import UsageError


@click.group("hardware", short_help="Machines: list, show, check, import, fit.")
def command() -> None:
    """The machines that come with picojoule, checks of your own, imports from other tools, and fits to measurements."""


@command.command("list", short_help="The machines that come with picojoule.")
@output_options("table", "json")
def list_(*, output: Output) -> None:
    """The machines that come with picojoule."""
    from picojoule.hardware import accelerator_to_data, catalogue_names, load_hardware
    from picojoule.reporting import machines_text

    machines = [accelerator_to_data(load_hardware(name)) for name in catalogue_names()]
    output.write(
        _json(machines)
        if output.format == "json"
        else machines_text(machines, width=output.width, color=output.colored)
    )


@command.command("show", short_help="One machine: its memories, arrays and energies.")
@click.argument("name")
@output_options("table", "json", "yaml")
def show(*, name: str, output: Output) -> None:
    """One machine: its memories, arrays and energies.

    NAME is one of `picojoule hardware list`, or a YAML file. With --format yaml the description of a built-in
    machine is printed as it stands: a start for your own.
    """
    from picojoule.hardware import accelerator_to_data, catalogue_names, catalogue_text, load_hardware
    from picojoule.reporting import machine_text

    machine = load_hardware(name)
    if output.format == "yaml":
        if name not in catalogue_names():
            family = name.partition(":")[0]
            known = family in catalogue_names()
            hint = f"Ask for {family}: the file has all of its family." if known else "Yours is the file itself."
            raise UsageError("only files of built-in machines are shown as YAML", where=name, hint=hint)
        output.write(catalogue_text(name))
        return
    data = accelerator_to_data(machine)
    output.write(
        _json(data) if output.format == "json" else machine_text(data, width=output.width, color=output.colored)
    )


@command.command("check", short_help="Check a machine description.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output_options("table", "json")
def check(*, file: Path, output: Output) -> None:
    """Check the machine description FILE, and show the machine that it describes.

    The exit code is 3 if it describes none; the message names file, line, field, value, and what is allowed.
    """
    from picojoule.hardware import accelerator_to_data, load_hardware
    from picojoule.reporting import machine_text

    data = accelerator_to_data(load_hardware(file))
    output.write(
        _json(data) if output.format == "json" else machine_text(data, width=output.width, color=output.colored)
    )
    output.note(f" {file} is sound       next: picojoule estimate resnet18 --hardware {file}")


@command.group("import", short_help="Machines described for other tools: timeloop.")
def import_() -> None:
    """Turns a machine described for another tool into a description of ours, once."""


@import_.command("timeloop", short_help="A design of Timeloop and Accelergy.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", metavar="NAME", help="What to call the machine; else as the architecture's file is called.")
@output_options("yaml", "json")
def timeloop(*, files: tuple[Path, ...], name: str | None, output: Output) -> None:
    """Write the machine that FILES describe: Timeloop's architecture (v0.3, v0.4), Accelergy's ERT, constraints.

    The files may come in any order. What can't be carried is listed on standard error and at the top of the
    description. The exit code is 3 if the design is no machine of ours; the message names file, line and field.
    """
    from picojoule.hardware import accelerator_to_data
    from picojoule.hardware.timeloop import import_timeloop

    imported = import_timeloop(files, name)
    output.write(
        _json({"machine": accelerator_to_data(imported.machine), "left_out": list(imported.left_out)})
        if output.format == "json"
        else imported.text
    )
    if imported.left_out:
        output.note("\n".join([f" not carried: {len(imported.left_out)}", *(f"   {one}" for one in imported.left_out)]))
    if not output.to_stdout and output.format == "yaml":
        output.note(f" wrote {output.path}       next: picojoule hardware check {output.path}")


@command.command("fit", short_help="A table of a GPU from microbenchmarks.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output_options("table", "json")
def fit(*, file: Path, output: Output) -> None:
    """Fit a table of latency and energy to the microbenchmarks in FILE, and test it on the networks in FILE.

    FILE holds products of matrices by size and type, copies by size, and networks, as benchmarks/gpu_microbenchmarks.py
    records them on a GPU. The networks play no part in the fit.
    """
    from picojoule.reporting.device_fits import device_fit_text
    from picojoule.runtime.device_fit import fit_device

    found = fit_device(file)
    output.write(_json(found.to_dict()) if output.format == "json" else device_fit_text(found, width=output.width, color=output.colored))


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
