"""The code blocks of a Markdown page, and the commands in them with the output that they are said to have.

A block is fenced, with its language behind the fence and maybe a title. What a test doesn't run stands behind a comment
that says why::

    <!-- not run: needs a board -->
    ```console
    $ picojoule measure …
    ```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n\n?)?^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
_INDENTED = re.compile(r"(?:^ {4}(?:\$ )?picojoule .*\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code on a page.

    Attributes:
        page, line: where it is, by the path from the root of the checkout and from 1.
        language: behind the fence; empty if there is none.
        title: the name of the file that it is, if it is one.
        not_run: why no test runs it; empty if one does.
        indent: of the fence.
        text: what is inside, without the indent.
        span: of ``text`` in the page, with the indent.
    """

    page: str
    line: int
    language: str
    title: str
    not_run: str
    indent: str
    text: str
    span: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, without the prompt, and the lines that it is said to print."""

    line: str
    shown: tuple[str, ...]


def pages() -> list[str]:
    """Every page that users read."""
    found = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/**/*.md")]
    return sorted(path.relative_to(CHECKOUT).as_posix() for path in [*found, *CHECKOUT.glob("results/*/README.md")])


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order; lines with commands that are merely indented are blocks, too."""
    return blocks_of((CHECKOUT / page).read_text(encoding="utf-8"), page)


def blocks_of(markdown: str, page: str) -> list[Block]:
    """The blocks of a text."""
    found, outside = [], list(markdown)
    for match in _FENCE.finditer(markdown):
        outside[match.start() : match.end()] = ["\n" if c == "\n" else "\x00" for c in match[0]]
        language, _, rest = match["info"].strip().partition(" ")
        title = _TITLE.search(rest)
        found.append(
            Block(
                page=page,
                line=markdown.count("\n", 0, match.start("info")) + 1,
                language=language,
                title=title[1] if title else "",
                not_run=match["reason"] or "",
                indent=match["indent"],
                text=re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
                span=match.span("text"),
            )
        )
    for match in _INDENTED.finditer("".join(outside)):
        found.append(
            Block(
                page=page,
                line=markdown.count("\n", 0, match.start()) + 1,
                language="console",
                title="",
                not_run="",
                indent="    ",
                text="".join(f"$ {line[4:].removeprefix('$ ')}" for line in match[0].splitlines(keepends=True)),
                span=match.span(),
            )
        )
    return sorted(found, key=lambda block: block.line)


def commands(block: Block) -> list[Command]:
    """The commands of a console block: lines behind ``$``, each with the lines up to the next."""
    found: list[Command] = []
    for line in block.text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append(Command(line=line.removeprefix("$ "), shown=()))
        elif not found:
            raise ValueError(f"{block}: a console block begins with a command behind '$ '")
        else:
            found[-1] = Command(line=found[-1].line, shown=(*found[-1].shown, line))
    return found


def matches(printed: list[str], shown: list[str]) -> bool:
    """Whether a page shows what was printed; a line ``…`` stands for any lines."""
    if not shown:
        return not printed
    if shown[0].strip() == "…":
        return any(matches(printed[i:], shown[1:]) for i in range(len(printed) + 1))
    return bool(printed) and printed[0] == shown[0] and matches(printed[1:], shown[1:])
