"""``picojoule models``: the networks that picojoule knows by name, and what a model file holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from picojoule.cli.estimate import shape_option, shapes_of
from picojoule.cli.options import Output, output_options


if TYPE_CHECKING:
    from picojoule.workload import Network
    from picojoule.workload.class_channels import ClassChannels


@click.group("models", short_help="Built-in networks: list, show.")
def command() -> None:
    """The networks that picojoule knows by name, and what a model file holds."""


@command.command("list", short_help="The networks that picojoule knows by name.")
@click.option("--all", "every", is_flag=True, help="With every width and resolution of the families.")
@output_options("table", "json")
def list_(*, every: bool, output: Output) -> None:
    """The networks that picojoule knows by name; none needs a download."""
    from picojoule.reporting import network_data, networks_text
    from picojoule.workload import builtin_names, builtin_network

    networks = {name: builtin_network(name) for name in builtin_names()}
    if output.format == "json":
        data = [{"name": name, **network_data(network, layers=False)} for name, network in networks.items()]
        output.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    else:
        output.write(networks_text(networks, width=output.width, color=output.colored, every=every))


@command.command("show", short_help="The layers of one network.")
@click.argument("name")
@shape_option
@click.option(
    "--classes",
    metavar="NOW:KEPT",
    help="With fewer classes: 1000:10, or of a detector 21:5, background among them. Says what part of the MACs that is.",
)
@output_options("table", "json", "csv", "md", "yaml", "scalesim", "mit")
def show(
    *, name: str, shape: tuple[dict[str, tuple[int, ...]], ...], classes: str | None, output: Output
) -> None:
    """The layers of one network: its loop nests, MACs and parameters.

    NAME is whatever `picojoule estimate` takes as MODEL: a built-in network, an ONNX file or a layer table. With
    --format yaml, scalesim or mit it is written as a layer table: ours, SCALE-Sim's, or that of MIT's energy tool.
    """
    from picojoule.frontends import load_model
    from picojoule.reporting.fewer_classes import class_channels_text
    from picojoule.reporting import network_csv, network_data, network_markdown, network_text
    from picojoule.workload.layer_table import FORMATS, left_out

    network = load_model(name, shape=shapes_of(shape))
    channels = None if classes is None else _fewer_classes(network, classes)
    if channels is not None:
        network = channels.network
    if output.format in FORMATS:
        output.write(FORMATS[output.format](network))
        missing = left_out(network) if output.format != "yaml" else []
        if missing:
            named = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            output.note(f" left out, as the format has no row for them: {len(missing)} layers ({named})")
    elif output.format == "json":
        output.write(json.dumps(network_data(network), indent=1, ensure_ascii=False) + "\n")
    elif output.format == "csv":
        output.write(network_csv(network))
    elif output.format == "md":
        output.write(network_markdown(network))
    else:
        output.write(network_text(network, width=output.width, color=output.colored))
        if channels is not None:
            output.write(class_channels_text(channels, width=output.width, color=output.colored))


def _fewer_classes(network: Network, text: str) -> ClassChannels:
    from picojoule.errors import UsageError
    from picojoule.workload.class_channels import with_fewer_classes

    match = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", text)
    if match is None:
        raise UsageError(
            f"{text!r} is not two numbers of classes", where="--classes", hint="Write those now and those kept: 21:5."
        )
    return with_fewer_classes(network, int(match[1]), int(match[2]))
