"""``picojoule complexity``: what no implementation of a layer can beat on two levels of memory, one file per command."""

from __future__ import annotations

import click

from picojoule.cli.complexity.bound import bound
from picojoule.cli.complexity.validate import validate


@click.group("complexity", short_help="Energy complexity: bounds on two levels of memory.")
def command() -> None:
    """Energy complexity: what no implementation of a layer can beat on two levels of memory."""


command.add_command(bound)
command.add_command(validate)
