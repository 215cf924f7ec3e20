"""The page about a study: what it comes to, its front, its axes, its best designs."""

from __future__ import annotations

from picojoule.reporting.page.document import page
from picojoule.reporting.page.markup import tag
from picojoule.reporting.page.study_figures import figures
from picojoule.reporting.studies import objective_text
from picojoule.study.reading import Summary


def study_page(found: Summary) -> str:
    """One HTML file that loads nothing.

    Args:
        found: the study.
    """
    of = "" if found.size is None else f" of {found.size:,} in the grid".replace(",", " ")
    about = [f"{found.points} points{of}", f"{len(found.axes)} axes", f"{found.cpu_s:,.0f} s of processor".replace(",", " ")]
    if found.failed:
        about.append(f"{found.failed} failed")
    if found.unproved:
        about.append(f"{found.unproved} with a layer that isn't proved optimal")
    best = [f"best {name} {objective_text(found, record, name)}" for name, record in found.best.items()]
    said = f"{len(found.front)} designs are beaten by no other: {', '.join(best)}." if best else f"{found.refusal.capitalize()}."
    verdict = tag(
        "header",
        tag("h1", found.name, tag("small", " study")),
        tag("p", " · ".join(about), class_="about"),
        tag("p", said, class_="verdict"),
        id="top",
    )
    return page(f"{found.name}: study", verdict, list(figures(found)))
