"""``picojoule doctor``: what can be measured on this machine."""

from __future__ import annotations

import json

import click

from picojoule.cli.options import Output, output_options


@click.command("doctor", short_help="What can be measured on this machine.")
@output_options("table", "json")
def command(*, output: Output) -> None:
    """What can be measured on this machine, and what stands in the way: latency, threads, memory, energy, versions.

    It measures nothing and changes nothing. The exit code is 0 whatever it finds.
    """
    from picojoule.reporting.measurements import diagnosis_text
    from picojoule.runtime.diagnosis import diagnose

    found = diagnose()
    if output.format == "json":
        output.write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
    else:
        output.write(diagnosis_text(found, width=output.width, color=output.colored))
