"""What README and tutorial show is what happens: their Python runs, and their output is what the commands print."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = {name: CHECKOUT / name for name in ("README.md", "docs/tutorial/first-estimate.md")}


def blocks(page: str, language: str = "") -> list[str]:
    """The fenced blocks of a page in one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for tongue, text in fenced if tongue == language]


def shown(page: str) -> list[tuple[str, list[str]]]:
    """Every command of a page with the lines that it is said to print."""
    found = [block.splitlines() for block in blocks(page) if block.startswith("$ picojoule ")]
    return [(lines[0].removeprefix("$ picojoule "), lines[1:]) for lines in found]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(folder, page):
    sessions = blocks(page, "python")
    assert sessions
    for session in sessions:
        test = doctest.DocTestParser().get_doctest(session, {}, page, page, 0)
        report: list[str] = []
        assert doctest.DocTestRunner().run(test, out=report.append).failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES)
def test_the_output_of_a_page_is_what_is_printed(run, folder, monkeypatch, page):
    monkeypatch.setenv("COLUMNS", "110")
    for table in blocks(page, "yaml"):
        (folder / "my-net.yaml").write_text(table)
    assert shown(page)
    for command, lines in shown(page):
        # A search of some seconds stands here only for the figures that don't depend on how long it lasts.
        hurry = ["--time-limit", "10ms"] if "resnet18" in command and command.startswith("estimate") else []
        ran = run(*command.split(), *hurry)
        assert ran.exit_code == 0
        printed = [*ran.stdout.splitlines(), *ran.stderr.splitlines()]
        if command.startswith("estimate"):
            (lines, floor), (printed, printed_floor) = steady(lines), steady(printed)
            assert printed_floor == pytest.approx(floor, rel=2e-3), command
        assert printed == lines, command


def steady(lines: list[str]) -> tuple[list[str], float]:
    """What of an estimate is the same however far the search went: some lines, and the floor in picojoule.

    The unit of the floor is that of the largest layer, which a short search finds larger.
    """
    kept = [
        line
        for line in lines
        if line.startswith((" coverage", " not priced", " wrote")) or ("·" in line and line[:1].isalpha())
    ]
    (floor,) = (
        re.fullmatch(r" floor +([\d.\u2009]+) (.)J for .*", line) for line in lines if line.startswith(" floor")
    )
    assert len(kept) >= 2 and floor
    return kept, float(floor[1].replace("\u2009", "")) * {"n": 1e3, "µ": 1e6, "m": 1e9}[floor[2]]


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(CHECKOUT)) for p in [CHECKOUT / "README.md", *CHECKOUT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", (CHECKOUT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (CHECKOUT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
