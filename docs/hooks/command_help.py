"""Puts what a command says with ``--help`` below its heading in ``reference/cli.md``, as click writes it."""

from __future__ import annotations

import re
import textwrap

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from picojoule.cli.main import main

PAGE = "reference/cli.md"
WIDTH = 100

_HEADING = re.compile(r"^(#+ `(picojoule[^`]*)`.*)$", re.MULTILINE)


def command_help(path: str) -> str:
    """What ``picojoule … --help`` prints, for a command by its path, such as ``picojoule hardware list``."""
    command: click.Command = main
    context = click.Context(main, info_name="picojoule", terminal_width=WIDTH, max_content_width=WIDTH)
    for name in path.split()[1:]:
        inner = command.get_command(context, name) if isinstance(command, click.Group) else None
        if inner is None:
            raise PluginError(f"{PAGE} has a heading for {path!r}, but there is no such command")
        command = inner
        context = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
    return command.get_help(context)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adds a block that opens with a click under every heading that names a command."""
    if page.file.src_uri != PAGE:
        return markdown

    def with_help(match: re.Match[str]) -> str:
        block = f"```text\n{command_help(match[2])}\n```"
        return f'{match[1]}\n\n??? abstract "`{match[2]} --help`"\n\n{textwrap.indent(block, "    ")}\n'

    return _HEADING.sub(with_help, markdown)
