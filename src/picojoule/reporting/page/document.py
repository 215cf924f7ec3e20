"""The page as one file: head, verdict, figures, foot."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from picojoule.analysis import Explanation
from picojoule.reporting.page.figure import Figure, section
from picojoule.reporting.page.figures import figures
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.reading import read
from picojoule.reporting.page.verdict import top
from picojoule.result import Estimate
from picojoule.version import __version__

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser may load for the page: nothing."""


def report(
    results: Estimate | str | Path | Sequence[Estimate | str | Path], *, explanation: str | Path | Explanation | None = None
) -> str:
    """A page about a result, as one HTML file that loads nothing: verdict, figures with their tables, mappings, provenance.

    Args:
        results: one, or several of one network: the page is about the last, beside those before it.
        explanation: of the last result, as ``explain`` returns it or ``picojoule explain --format json`` writes it: its
            Eyexam steps are searched for, where the page's own are bounds.

    Returns:
        HTML. The result file is in it, for download.

    Raises:
        UsageError: no result, results of different networks or batches, an explanation of another result.
        ResultFileError, SystemFailure: a file that can't be read, or holds no result.

    Example:
        >>> import picojoule
        >>> page = picojoule.report(picojoule.estimate("merkel:L1", hardware="eyeriss-normalized"))
        >>> page.splitlines()[0]
        '<!doctype html>'
    """
    given = [results] if isinstance(results, Estimate | str | Path) else list(results)
    reading = read(given, explanation)
    title = f"{reading.estimate.model} on {reading.estimate.hardware['name']}"
    return page(title, top(reading), list(figures(reading)))


def page(title: str, verdict: Markup, shown: Sequence[Figure]) -> str:
    """A whole page: what is said first, and the figures.

    Args:
        title: in the browser's head.
        verdict: above the figures, with the id ``top``.
        shown: the figures.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"picojoule {__version__}"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", _asset("page.css")),
    )
    body = tag(
        "body",
        tag("a", "Skip to the figures", href="#main", class_="skip"),
        _contents(shown),
        tag("div", verdict, tag("main", [section(figure) for figure in shown], id="main", tabindex="-1"), _foot(), class_="page"),
        tag("div", id="tip", role="tooltip", hidden=True),
        tag("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _contents(shown: Sequence[Figure]) -> Markup:
    links = [tag("li", tag("a", figure.title, href=f"#{figure.name}")) for figure in shown]
    return tag(
        "nav",
        tag("a", "picojoule", href="#top", class_="brand"),
        tag("ol", tag("li", tag("a", "Verdict", href="#top")), links),
        tag("button", "Dark", type="button", id="theme", aria_pressed="false", title="Light or dark"),
        aria_label="Contents",
    )


def _foot() -> Markup:
    said = "Tables sort by a click on a heading. In the rooflines the arrow keys walk from layer to layer."
    return tag("footer", said, tag("span", f"picojoule {__version__}"))


def _asset(name: str) -> Markup:
    return Markup(resources.files("picojoule.reporting.page").joinpath("assets", name).read_text(encoding="utf-8"))
