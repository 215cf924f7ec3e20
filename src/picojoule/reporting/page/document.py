"""The page as one file: head, verdict, figures, foot."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from picojoule.analysis import Explanation
from picojoule.compress.result import Compression
from picojoule.errors import UsageError
from picojoule.reporting.page import dials_document, exits_document
from picojoule.reporting.page.adapted import adaptation_of, adapted
from picojoule.reporting.page.compressions import accuracy_against_energy, compression_schema, front_of
from picojoule.reporting.page.compressions import head as head_of_front
from picojoule.reporting.page.figure import Figure, section
from picojoule.reporting.page.figures import figures
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.reading import read
from picojoule.reporting.page.staircase import staircase
from picojoule.reporting.page.verdict import top
from picojoule.result import Estimate
from picojoule.version import __version__

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser may load for the page: nothing."""

_SORTS = "Tables sort by a click on a heading."


def report(
    results: Estimate | Compression | str | Path | Sequence[Estimate | Compression | str | Path], *, explanation: str | Path | Explanation | None = None
) -> str:
    """A page about a result, as one HTML file that loads nothing: verdict, figures with their tables, mappings, provenance.

    Args:
        results: one, or several of one network: the page is about the last, beside those before it. Or what ``prune``,
            ``quantize`` made, one or several: the page shows accuracy against energy of all, and the ladder from each to
            the next in the order in which they are given. Of one adaptation it shows the steps. Or the file of a decision
            when to leave a network with exits, as ``picojoule exits decide --format json`` writes it, or the result of ``exits add``.
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
    given = [results] if isinstance(results, Estimate | Compression | str | Path) else list(results)
    others = _smaller_network(given) or _about_exits(given)
    if others is not None:
        if explanation is not None:
            raise UsageError("an explanation is of an estimate alone", where="explanation")
        return others
    reading = read(given, explanation)  # type: ignore[arg-type]
    title = f"{reading.estimate.model} on {reading.estimate.hardware['name']}"
    return page(title, top(reading), list(figures(reading)), f"{_SORTS} In the rooflines the arrow keys walk from layer to layer.")


def _smaller_network(given: Sequence[object]) -> str | None:
    """The page about results of ``prune``, ``quantize`` and ``adapt`` and fronts of such; None if these are other results."""
    smaller = [compression_schema(one) is not None for one in given]
    if not any(smaller):
        return None
    if not all(smaller):
        raise UsageError(
            "results of estimate and of prune, quantize or adapt don't go on one page",
            where="results",
            hint="Write a page of each.",
        )
    if len(given) == 1 and (adaptation := adaptation_of(given[0])):
        return page(*adapted(adaptation))
    front = front_of(given)  # type: ignore[arg-type]
    title = f"{front.model} made smaller, on {front.hardware}"
    ladder = [staircase(front.steps, front.unit)] if len(front.ladder) > 1 else []
    return page(title, head_of_front(front), [*ladder, accuracy_against_energy(front)])


def _about_exits(given: Sequence[object]) -> str | None:
    """The page about a decision when to leave, or about width and depth; None if this is neither."""
    if len(given) != 1 or not isinstance(given[0], str | Path) or not Path(given[0]).is_file():
        return None
    path = Path(given[0])
    if (decision := exits_document.decision_in(path)) is not None:
        return page(exits_document.title_of(decision), exits_document.top_of(decision), exits_document.figures_of(decision))
    if (found := dials_document.dials_in(path)) is not None:
        return page(dials_document.title_of(found), dials_document.top_of(found), dials_document.figures_of(found))
    return None


def page(title: str, above: Markup, shown: Sequence[Figure], said: str = _SORTS) -> str:
    """A whole page.

    Args:
        title: in the browser's head.
        above: what is said first, with the id ``top``.
        shown: the figures, in order.
        said: at the foot.
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
        tag("div", above, tag("main", [section(figure) for figure in shown], id="main", tabindex="-1"), _foot(said), class_="page"),
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


def _foot(said: str) -> Markup:
    return tag("footer", said, tag("span", f"picojoule {__version__}"))


def _asset(name: str) -> Markup:
    return Markup(resources.files("picojoule.reporting.page").joinpath("assets", name).read_text(encoding="utf-8"))
