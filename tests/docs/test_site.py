"""The site builds without a warning, needs nothing from the network, and documents every command and every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest
from support.doc_blocks import CHECKOUT, pages
from support.public_names import public_names

import picojoule
from picojoule.cli.main import main

pytest.importorskip("mkdocs", reason="the site needs pip install 'picojoule[docs]'")

FETCHED = {
    "audio": "src", "embed": "src", "iframe": "src", "image": "href", "img": "src", "input": "src", "link": "href", "object": "data",
    "script": "src", "source": "src", "track": "src", "use": "href", "video": "src",
}  # fmt: skip
"""What a browser fetches of itself, by tag."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it, with warnings for errors, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    paths = os.pathsep.join([str(Path(picojoule.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": paths, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


class Fetched(HTMLParser):
    """Collects what a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in FETCHED and values.get("rel") not in ("canonical", "next", "prev"):
            self.urls += [values.get(FETCHED[tag]) or "", *re.split(r"[, ]+", values.get("srcset") or "")]
        if tag == "a":
            self.links.append(values.get("href") or "")


def elsewhere(page: str) -> list[str]:
    """Addresses beyond the site that a page of HTML fetches."""
    parser = Fetched()
    parser.feed(page)
    styles = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", page)
    return [url for url in [*parser.urls, *(a or b for a, b in styles)] if re.match(r"(?:\w+:)?//", url)]


def test_make_docs_builds_it_strictly():
    recipe = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^docs: .*\n\t.*mkdocs build --strict", recipe, re.MULTILINE)


def test_no_page_fetches_anything_from_elsewhere(site):
    html = sorted(site.glob("**/*.html"))
    assert len(html) > len([page for page in pages() if page.startswith("docs/")])
    assert {str(p.relative_to(site)): elsewhere(p.read_text(encoding="utf-8")) for p in html if elsewhere(p.read_text(encoding="utf-8"))} == {}


def test_no_style_fetches_anything_from_elsewhere(site):
    assert [url for sheet in site.glob("**/*.css") for url in elsewhere(sheet.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "text",
    ['<script src="https://x.org/a.js">', '<img src="//x.org/a.png">', '<link href="https://x.org/f.css" rel="stylesheet">',
     "@import 'https://x.org/f.css'", "a { background: url(https://x.org/a.png) }"],
)  # fmt: skip
def test_what_is_fetched_from_elsewhere_is_noticed(text):
    assert elsewhere(text)
    assert not elsewhere(text.replace("https:", "").replace("//x.org/", "x/"))


def test_nothing_of_the_build_is_in_the_site(site):
    assert [path for path in site.glob("**/*") if path.suffix in (".py", ".pyc")] == []


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command by its path, groups included."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


@pytest.mark.parametrize("path", dict(commands(main, "picojoule")))
def test_every_command_stands_there_with_its_options(site, path):
    command = dict(commands(main, "picojoule"))[path]
    page = re.sub(r"<[^>]+>", "", (site / "reference" / "cli.html").read_text(encoding="utf-8"))
    _, found, text = page.partition(f"Usage: {path} ")
    assert found, f"{path} has no heading in docs/reference/cli.md"
    text = text.partition("Usage: ")[0]
    options = [name for p in command.params if isinstance(p, click.Option) and not p.hidden for name in p.opts]
    assert [name for name in options if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)] == []


def test_every_public_name_is_in_the_reference(site):
    _, _, packed = (site / "objects.inv").read_bytes().partition(b"zlib.\n")
    listed = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    missing = [name for name, home in public_names().items() if not {name, home} & listed]
    assert missing == [], "add them to a page in docs/reference/python"


def test_every_link_of_the_readme_leads_somewhere():
    """The site's own links are checked by building it; the README is no part of it."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (CHECKOUT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not link.startswith("http") and not (CHECKOUT / link).exists()] == []
