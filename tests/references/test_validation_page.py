"""``docs/validation.md`` is what the reference tests generate: every table that they hold us against, row by row.

``pytest tests/references --update-validation`` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from references import (
    test_dpu,
    test_eyeriss_datasheet,
    test_eyeriss_isca2016_fig10,
    test_eyeriss_jssc2017_table3,
    test_eyeriss_jssc2017_table5,
    test_eyeriss_jssc2017_table6,
    test_eyeriss_v2,
    test_eyexam,
    test_horowitz_arithmetic,
    test_macs_params,
    test_merkel_depth,
    test_normalised_machine,
    test_optimum_against_timeloop,
    test_simba,
    test_timeloop_records,
    test_tpu_v1,
)
from support.published import Figure, Table

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"
HEAD = """\
# Validation

Published figures beside ours. The tests in `tests/references` compute this page and fail when it differs from what is committed; `pytest
tests/references --update-validation` writes it anew. A row passes within the limit that its test states; one beyond it is a deviation on
record, with its size and its reason, and fails as soon as the size changes. Nothing is fitted to a figure that it is held against. How sure a published figure
is stands with its table: *found* in public material, *derived* from such, or recalled (*by memory*).
"""


def tables(shared: Path) -> list[Table]:
    """Every table, in the order of the page."""
    return [
        test_eyeriss_jssc2017_table3.table(),
        test_eyeriss_jssc2017_table5.latency(),
        test_eyeriss_jssc2017_table5.traffic(),
        test_eyeriss_jssc2017_table5.power(),
        test_eyeriss_jssc2017_table6.table(),
        test_eyeriss_datasheet.table(),
        test_eyexam.table(),
        test_eyeriss_isca2016_fig10.table(),
        test_eyeriss_v2.table(shared),
        test_timeloop_records.table(shared),
        test_optimum_against_timeloop.table(shared),
        test_normalised_machine.table(shared),
        test_merkel_depth.table(shared),
        test_tpu_v1.table(),
        test_dpu.table(),
        test_simba.table(),
        test_horowitz_arithmetic.table(),
        test_macs_params.table(shared),
    ]


def page(shared: Path) -> str:
    """The page as the tests have it."""
    every = tables(shared)
    rows = [figure for table in every for figure in table.figures]
    missed = sum(figure.missed is not None for figure in rows)
    summary = f"\n{len(rows)} figures in {len(every)} tables; {missed} of them are missed, and say why.\n"
    return "\n".join([HEAD + summary, *(table.markdown() for table in every)])


def test_the_committed_page_is_what_the_tests_generate(shared: Path, request: pytest.FixtureRequest) -> None:
    text = page(shared)
    if request.config.getoption("--update-validation", default=False):
        PAGE.write_text(text, encoding="utf-8")
    assert text == PAGE.read_text(encoding="utf-8"), "if that is meant, run pytest tests/references --update-validation"


def test_a_row_that_is_off_complains() -> None:
    def complaint(ours: float, missed: float | None = None, reason: str = "") -> str:
        return Figure(what="x", published=100, ours=ours, within=0.1, missed=missed, reason=reason).complaint

    assert complaint(100) == complaint(109) == complaint(91) == ""
    assert "more than 10%" in complaint(111)
    assert "more than 10%" in complaint(89)
    assert "more than 10%" in complaint(0)
    assert complaint(150, 0.5, "for a reason") == ""
    assert "no reason is on record" in complaint(150, 0.5)
    assert "on record +50.0%" in complaint(151, 0.5, "for a reason")
    assert "but it isn't" in complaint(105, 0.5, "for a reason")


def test_a_page_says_what_is_missed_and_why() -> None:
    figure = Figure(what="x", published=100, ours=150, unit="mW", within=0.1, missed=0.5, reason="a network of its own")
    text = Table(title="T", source="s", how="h", figures=(figure,)).markdown()
    assert "| x | 100 mW | 150 mW | +50.0 % | a network of its own |" in text
