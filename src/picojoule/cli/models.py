"""``picojoule models``: the networks that picojoule knows by name, and what a model file holds."""

from __future__ import annotations

import json

import click

from picojoule.cli.estimate import shape_option, shapes_of
from picojoule.cli.options import Output, output_options


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
@output_options("table", "json", "csv", "md", "yaml", "scalesim", "mit")
def show(*, name: str, shape: tuple[dict[str, tuple[int, ...]], ...], output: Output) -> None:
    """The layers of one network: its loop nests, MACs and parameters.

    NAME is whatever `picojoule estimate` takes as MODEL: a built-in network, an ONNX file or a layer table. With
    --format yaml, scalesim or mit it is written as a layer table: ours, SCALE-Sim's, or that of MIT's energy tool.
    """
    from picojoule.frontends import load_model
    from picojoule.reporting import network_csv, network_data, network_markdown, network_text
    from picojoule.workload.layer_table import FORMATS, left_out

    network = load_model(name, shape=shapes_of(shape))
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
