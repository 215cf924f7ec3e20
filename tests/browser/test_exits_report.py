"""The report about a decision when to leave, in a real browser: real logits, and a slider that moves all charts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import picojoule
from picojoule.exits import curve_of, decide
from picojoule.reporting import decision_data

MERKEL = Path(__file__).parents[2] / "results" / "merkel"
MACS = (30720, 2161920, 31565184, 56917760, 78518400, 96673984)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    if not MERKEL.is_dir():
        pytest.skip("results/ lies beside the tests in a checkout only")
    with np.load(MERKEL / "logits" / "combined.npz") as logits, np.load(MERKEL / "labels.npz") as labels:
        choose, test = [(logits[part].astype(np.float32), labels[part].astype(np.int64)) for part in ("choose", "test")]
    found = decide(*choose, MACS, target_accuracy=0.77, rule="margin", levels=8)
    data = decision_data(found, found.policy.measure(*test), unit="", curve=curve_of(found, *test), curve_of="test")
    path = tmp_path_factory.mktemp("exits") / "decision.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    path.with_suffix(".html").write_text(picojoule.report(path), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [480, 1400])
def test_it_fits_and_says_what_the_decision_says(opened, written, width):
    page = opened(written.with_suffix(".html"), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    data = json.loads(written.read_text())
    point = data["curve"]["points"][data["curve"]["chosen"]]
    assert point["accuracy"] == data["test"]["accuracy"] and point["energy"] == pytest.approx(data["test"]["energy"])
    assert f"{100 * point['accuracy']:.1f}" in page.locator("#top").text_content()
    assert page.locator("#front .dot").count() == len(data["curve"]["points"])
    beyond = page.evaluate(
        "width => [...document.querySelectorAll('main .value, main .name')].filter(e => e.getBoundingClientRect().right > width).length", width
    )
    assert beyond == 0


def test_the_slider_shows_another_point_in_every_chart(opened, written):
    page = opened(written.with_suffix(".html"))
    points = json.loads(written.read_text())["curve"]["points"]

    def shown(chart):
        return page.locator(f"#exits [data-chart={chart}] .value").all_text_contents()

    before = {chart: shown(chart) for chart in ("left", "cdf", "right")}
    slider = page.locator("input.points")
    for number in (0, len(points) - 1):
        slider.fill(str(number))
        point, total = points[number], sum(points[number]["left"])
        assert page.locator(".said").text_content().startswith(f"{point['accuracy']:.2%} right")
        for text, count in zip(shown("left"), point["left"], strict=True):
            assert float(text.split()[0].strip("%")) == pytest.approx(100 * count / total, abs=0.06)
        assert shown("cdf")[-1].startswith("100")
    assert {chart: shown(chart) for chart in before} != before
    width = page.locator("#exits [data-chart=cdf] .less").last.evaluate("e => e.style.getPropertyValue('--w')")
    assert float(width) == 100


def test_without_scripts_the_chosen_point_stands_there(opened, written):
    page = opened(written.with_suffix(".html"), scripts=False)
    assert "right for" in page.locator(".said").text_content()
    assert page.locator("#exits [data-chart=left] .row").count() == 6
