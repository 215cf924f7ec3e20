"""``picojoule``: finds the verb, runs it, and turns whatever happens into an exit code.

    0    done
    1    done, and the answer is no
    2    the command line is wrong
    3    the contents of an input file are wrong
    4    internal or system failure, a full disk among them
    130  interrupted; what was found is kept

A verb is loaded when it is called for: ``picojoule --help`` imports nothing but click.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from picojoule.cli.failures import exit_code_of
from picojoule.cli.streams import let_go_of_stdout, write_stdout
from picojoule.errors import UnknownNameError, nearest
from picojoule.version import __version__

VERBS = {
    "estimate": "Find the best way to run a network on a machine, with proof.",
    "explain": "What binds each layer of a result.",
    "verify": "Check a result again, with code of its own.",
    "compare": "Results of one network side by side.",
    "check": "Does a network on a machine meet what is required of it?",
    "measure": "Latency, memory and energy of a network, measured.",
    "quantize": "Fewer bits: INT8, or 2 to 8 by layer.",
    "prune": "Fewer weights or channels, within a budget.",
    "adapt": "Fewer filters, step by step, within measured or modelled budgets.",
    "export": "A result or a network in a form that others take.",
    "report": "One page about a result: figures, tables, mappings.",
    "run": "Run a bundle on images or arrays.",
    "complexity": "Energy complexity: bounds on two levels of memory.",
    "hardware": "Machines: list, show, check, import, fit.",
    "models": "Built-in networks: list, show.",
    "exits": "Energy against accuracy: add, choose, decide, deploy, fit.",
    "study": "Many designs at once: run, show, front, best, export, report.",
    "cache": "What earlier searches found: list, clear, path.",
    "doctor": "What can be measured on this machine.",
}
"""Every verb and its help in one line; each is the ``command`` of a module of its name."""


class Verbs(click.Group):
    """A group that imports a verb's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f"picojoule.cli.{name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # An option that this group doesn't have is left to click, whose message names options.
        if args[0] not in VERBS and not args[0].startswith("-"):
            raise UnknownNameError(f"picojoule has no command {args[0]!r}", hint=nearest(args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs the command line and exits; nothing that happens inside reaches the user as a traceback."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name or "picojoule", standalone_mode=False, **extra) or 0
        except SystemExit as stop:
            # click ends this way when a shell asks for completions; otherwise only when the reader of a pipe has gone.
            code = stop.code if "_PICOJOULE_COMPLETE" in os.environ else 0
        except BaseException as failure:
            code = exit_code_of(failure, arguments)
        let_go_of_stdout()
        sys.exit(code)


def _version(ctx: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given and not ctx.resilient_parsing:
        write_stdout(f"picojoule {__version__}\n")
        ctx.exit()


@click.command(
    "picojoule",
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done · 1 the answer is no · 2 command line · 3 input file · 4 system · 130 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def main() -> None:
    """Where every joule of a neural network goes on an accelerator, and a proof that no mapping does better."""
