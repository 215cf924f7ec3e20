"""Every code block on every page runs, and what a page shows is what is printed.

The blocks of a page run one after the other in a folder of their own, as a reader would run them:

* ``console``: every command must be done (exit code 0, or what a following ``$ echo $?`` shows) and, if the block shows
  output, print it at 110 columns. There a search is not stopped by the clock, which a busy machine would show. A search in a
  block without output is cut short at 10 ms a layer, unless the command itself says how long or how exact: that it runs is
  what the page says.
* ``pycon``: a session (``>>>``) prints what it shows; ``python``: a script runs. All of a page share their names.
* with a title, of whatever language: it is written to the file of that name.
* ``yaml``, ``json`` without a title are parts of a file: they parse. ``text`` is no code.

What can't be run says so in the page (``<!-- not run: why -->``) and stands in ``NOT_RUN``.
"""

from __future__ import annotations

import contextlib
import doctest
import glob
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from support import readers_files
from support.doc_blocks import CHECKOUT, Block, Command, blocks, blocks_of, commands, matches, pages
from support.timeloop_designs import write_design

from picojoule.cli.main import main

LANGUAGES = {"console", "pycon", "python", "yaml", "json", "csv", "text"}

NOT_RUN = {
    "README.md": ["$ make demo     # sets everything up and runs the command below", "$ pip install .            # numpy, numba, onnx, pydantic, ruamel.yaml, click, rich; no torch"],
    "docs/how-to/adapt-to-a-budget.md": [
        "$ picojoule adapt mymodels:small --budget 8ms --data cifar-10-batches-py --folder adapted",
        '$ picojoule adapt mymodels:small --budget 60% --runner "./bench-on-board {onnx}" --data cifar-10-batches-py --folder board',
        "$ picojoule adapt mymodels:small --hardware eyeriss-v1 --budget 1.2mJ --data cifar-10-batches-py --folder frugal",
        "$ picojoule adapt mymodels:small --budget 50% --waypoint 80% --waypoint 65% --data cifar-10-batches-py --folder adapted",
        "import picojoule",
    ],
    "docs/how-to/decide-when-to-leave.md": [
        'np.savez("choose.npz", logits=logits, labels=labels)  # exits × images × classes, float; one whole number per image',
        "$ picojoule exits decide choose.npz --target-accuracy 0.77 --hardware eyeriss-like-45nm --model net.onnx --heads fc0,fc1,fc2 --ask best",
        "$ picojoule exits decide choose.npz --target-accuracy 0.77 --energies 30720,2161920,31565184,56917760,78518400,96673984 --calibration held.npz --test test.npz",
        "from picojoule.exits import decide",
    ],
    "docs/how-to/explore-designs.md": ["$ picojoule study run study.yaml --jobs 2", "$ dask scheduler"],
    "docs/how-to/make-a-network-smaller.md": [
        "$ picojoule prune mymodels:small --hardware eyeriss-v2 --budget 60% --data cifar-10-batches-py --folder pruned",
        "$ picojoule prune mymodels:small --hardware eyeriss-v2 --lose 1 --data cifar-10-batches-py --folder deepest",
        "$ picojoule prune mymodels:small --hardware eyeriss-v2 --criterion channels --budget 50% --of macs --grid 16 --data cifar-10-batches-py --folder narrow",
        "$ picojoule quantize mymodels:small --hardware eyeriss-v2 --data cifar-10-batches-py --folder int8",
        "$ picojoule prune mymodels:small --hardware eyeriss-v2 --classes cat,dog,ship,truck --criterion channels --budget 40% --data cifar-10-batches-py --folder four",
        "$ picojoule prune mymodels:untrained --hardware eyeriss-v2 --criterion lottery --budget 20% --data cifar-10-batches-py --folder ticket",
        "$ picojoule report pruned/result.json narrow/result.json deepest/result.json -o front.html",
    ],
    "docs/explanation/complexity-validation.md": ["$ picojoule complexity validate --hardware simba-like-45nm --reference DIR --random all --recount --charts charts"],
    "results/codesign/README.md": ["$ picojoule study run results/codesign/study.yaml --storage codesign.db"],
    "results/communication/README.md": ["$ python results/communication/redraw.py --jobs 2"],
    "results/compression/README.md": [
        "$ python results/compression/int8.py > results/compression/int8.json",
    ],
    "results/energy_complexity/README.md": ["$ python results/energy_complexity/redraw.py --reference ../shared/data/energy_complexity --jobs 2"],
    "results/fewer-classes/README.md": ["$ python results/fewer-classes/run.py", "$ python results/fewer-classes/baseline.py"],
    "results/widths/README.md": ["$ PYTHONPATH=src:tests python results/widths/digits.py runs/widths"],
    "results/tickets/README.md": ["$ python results/tickets/recipes.py"],
    "results/gpu/README.md": ["$ python benchmarks/gpu_microbenchmarks.py results/gpu/microbenchmarks.json"],
    "results/netadapt/README.md": ["$ python results/netadapt/train.py"],
    "results/merkel/README.md": ["$ python results/merkel/train.py combined L1 L2 L3 L4 L5 L6 individual"],
}
"""By page: the first line of every block that no test runs."""

GIVEN: dict[str, Callable[[Path], object]] = {
    "docs/how-to/add-exits.md": readers_files.residual,
    "docs/how-to/import-from-timeloop.md": lambda folder: write_design(
        folder,
        constraints="architecture_constraints:\n  targets: [{target: buffer, type: bypass, keep: [Inputs, Outputs], bypass: [Weights]}]\n",
    ),
    "docs/how-to/measure-on-your-board.md": readers_files.measured,
    "docs/how-to/measure-on-your-machine.md": readers_files.measured,
    "docs/how-to/ship-a-bundle.md": readers_files.shipped,
    "docs/how-to/spend-what-the-battery-allows.md": readers_files.adaptive,
    "docs/reference/cli.md": readers_files.measured,
}
"""By page: writes the files that its reader is taken to have."""


class Page:
    """Runs the blocks of one page in the current folder."""

    def __init__(self) -> None:
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.exit_code = 0

    def run(self, block: Block) -> list[str]:
        """Runs a block; returns its lines with the output that was printed in place of what is shown."""
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language in ("pycon", "python"):
            self._python(block)
        elif block.language == "console":
            return self._console(block)
        elif block.language == "yaml":
            YAML(typ="safe").load(block.text)
        elif block.language == "json":
            json.loads(block.text)
        return block.text.splitlines()

    def _python(self, block: Block) -> None:
        if not block.text.startswith(">>> "):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, str(block), "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(block.text, self.names, block.page, block.page, block.line - 1)
        report: list[str] = []
        failed = doctest.DocTestRunner().run(test, out=report.append, clear_globs=False).failed
        self.names.update(test.globs)
        assert failed == 0, "".join(report)

    def _console(self, block: Block) -> list[str]:
        listed = commands(block)
        showing = any(command.shown for command in listed)
        lines: list[str] = []
        for i, command in enumerate(listed):
            checks_code = i + 1 < len(listed) and listed[i + 1].line == "echo $?"
            printed = self._command(block, command, hurry=not showing)
            assert checks_code or self.exit_code == 0, f"{block}: {command.line}\n" + "\n".join(printed)
            short = "…" in [line.strip() for line in command.shown]
            lines += [f"$ {command.line}", *(command.shown if short and matches(printed, [*command.shown]) else printed)]
        return lines if showing else block.text.splitlines()

    def _command(self, block: Block, command: Command, *, hurry: bool) -> list[str]:
        if command.line == "echo $?":
            return [str(self.exit_code)]
        words = shlex.split(command.line)
        assert words[0] == "picojoule" and not set("|<>") & set(words), f"{block}: no test runs {command.line!r}"
        arguments = [path for word in words[1:] for path in (sorted(glob.glob(word)) or [word])]
        limits = {"--time-limit", "--factors", "--node-limit"} if hurry else {"--time-limit"}
        if takes_time_limit(arguments) and not limits & set(words):
            arguments += ["--time-limit", "10ms" if hurry else "none"]
        ran = CliRunner().invoke(main, arguments)
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        self.exit_code = ran.exit_code
        printed = f"{ran.stdout.rstrip()}\n{ran.stderr.rstrip()}".strip("\n")
        return [line.rstrip() for line in printed.splitlines()]


def takes_time_limit(arguments: list[str]) -> bool:
    """Whether the command that these arguments name knows ``--time-limit``."""
    command: click.Command | None = main
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return command is not None and any("--time-limit" in parameter.opts for parameter in command.params)


@pytest.mark.usefixtures("found_layers")
@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    for name in ("NO_COLOR", "FORCE_COLOR", "PICOJOULE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    GIVEN.get(page, lambda folder: None)(tmp_path)
    reader = Page()
    printed = {block: reader.run(block) for block in blocks(page) if not block.not_run and block.language != "text"}
    if request.config.getoption("--update-docs"):
        rewrite(page, printed)
        return
    for block, lines in printed.items():
        assert lines == block.text.replace("\\\n", "").splitlines(), f"{block} shows something else (--update-docs writes it)"


def rewrite(page: str, printed: dict[Block, list[str]]) -> None:
    """Writes the output of console blocks into a page."""
    path = CHECKOUT / page
    markdown = path.read_text(encoding="utf-8")
    for block, lines in sorted(printed.items(), key=lambda item: -item[0].line):
        if block.language == "console" and lines != block.text.replace("\\\n", "").splitlines():
            text = "".join(f"{block.indent}{line}".rstrip() + "\n" for line in lines)
            markdown = markdown[: block.span[0]] + text + markdown[block.span[1] :]
    path.write_text(markdown, encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_a_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: write one of {', '.join(sorted(LANGUAGES))} behind the fence"


def test_what_is_not_run_is_listed():
    marked = {page: [block.text.splitlines()[0] for block in blocks(page) if block.not_run] for page in pages()}
    assert {page: lines for page, lines in marked.items() if lines} == NOT_RUN


def test_blocks_are_found_with_language_title_and_reason():
    text = 'a\n```yaml title="x.yaml"\nb: 1\n```\n<!-- not run: no board -->\n```console\n$ picojoule x\n```\n\n'
    first, second, third = blocks_of(text + "    picojoule y\n    picojoule z\n", "page.md")
    assert (first.language, first.title, first.text, first.line) == ("yaml", "x.yaml", "b: 1\n", 2)
    assert (second.not_run, second.line) == ("no board", 6)
    assert [command.line for command in commands(third)] == ["picojoule y", "picojoule z"]
    assert text[slice(*first.span)] == first.text


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("a b c", "a b c", True), ("a b c", "a … c", True), ("a b c", "…", True), ("a b c", "a … d", False),
        ("a b c", "a b", False), ("a b", "a b c", False), ("a c", "a … c", True),
    ],
)  # fmt: skip
def test_a_line_of_dots_stands_for_any_lines(printed, shown, same):
    assert matches(printed.split(), shown.split()) is same


@pytest.mark.parametrize(
    "text",
    ["```console\n$ picojoule models list\nwrong\n```\n", "```pycon\n>>> 1 + 1\n3\n```\n", "```console\n$ ls\n```\n"],
)
def test_a_page_that_is_wrong_is_noticed(text):
    (block,) = blocks_of(text, "page.md")
    with pytest.raises(AssertionError):
        assert Page().run(block) == block.text.splitlines()


def test_a_script_that_fails_is_noticed():
    (block,) = blocks_of("```python\nraise KeyError\n```\n", "page.md")
    with pytest.raises(KeyError):
        Page().run(block)
