"""Brings pages from outside of ``docs`` into the site: those in the root, and every experiment under ``results``.

They keep their place in the repository, where their links to each other and to ``docs`` are files; here such links are
bent to where the pages are in the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

CHECKOUT = Path(__file__).parents[2]
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "results/*/README.md", "results/*/*.svg")

_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def in_site(path: str) -> str:
    """Where a file of the repository is in the site: both by their path from the root."""
    folder, name = posixpath.split(path)
    inside = path.removeprefix("docs/") if path.startswith("docs/") else path
    return f"{folder}/index.md" if name == "README.md" and folder else inside


def in_checkout(page: str) -> str:
    """The other way round."""
    if page.startswith("results/"):
        return page.removesuffix("index.md") + "README.md" if page.endswith("/index.md") else page
    return page if page in OUTSIDE else f"docs/{page}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages, and the pictures on them."""
    for pattern in OUTSIDE:
        for path in sorted(CHECKOUT.glob(pattern)):
            name = in_site(path.relative_to(CHECKOUT).as_posix())
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Bends links between the pages inside and outside of ``docs``."""
    here = page.file.src_uri
    folder = posixpath.dirname(in_checkout(here))

    def bent(match: re.Match[str]) -> str:
        target = in_site(posixpath.normpath(posixpath.join(folder, match[2])))
        return match[1] + posixpath.relpath(target, posixpath.dirname(here) or ".") + match[3]

    return _LINK.sub(bent, markdown)
