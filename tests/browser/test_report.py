"""The report in a real browser: silent, self-contained, and every control does what it says."""

from __future__ import annotations

import json

import pytest
from PIL import Image

import picojoule

WIDTHS = (480, 1400)
SCHEMES = ("light", "dark")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_looks_right(opened, tmp_path, width, scheme):
    page = opened(width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(
        """width => [...document.querySelectorAll('main *, header *')]
            .filter(e => !e.closest('.scroll, pre, svg') && !e.matches('.hidden') && e.getBoundingClientRect().right > width)
            .map(e => e.outerHTML.slice(0, 80))""",
        width,
    )
    assert beyond == []
    shot = tmp_path / "page.png"
    page.screenshot(path=shot, full_page=True)
    image = Image.open(shot).convert("L")
    assert image.width == width
    corner = image.getpixel((width - 3, image.height - 3))
    assert corner > 230 if scheme == "light" else corner < 40
    assert len(set(image.resize((60, 240)).get_flattened_data())) > 20


@pytest.mark.parametrize("width", [480, 900, 1400])
def test_no_text_lies_upon_other_text(opened, width):
    page = opened(width=width)
    clashes = page.evaluate(
        """() => {
            const clash = [];
            const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
            for (const group of document.querySelectorAll('.row, .tiles, .legend, .controls, .card summary, .holds, .plot')) {
                const texts = [...group.querySelectorAll('.name, .value, dt, dd, li, label, strong, .dims, .tile, .level, .xt, .yt, .xn, .yn, .label')]
                    .filter(e => e.offsetParent && e.textContent.trim());
                for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
                    if (texts[i].contains(texts[j]) || texts[j].contains(texts[i])) continue;
                    if (overlap(texts[i].getBoundingClientRect(), texts[j].getBoundingClientRect()))
                        clash.push(texts[i].textContent + ' | ' + texts[j].textContent);
                }
            }
            for (const figure of document.querySelectorAll('dd, .value')) if (figure.scrollWidth > figure.clientWidth + 1) clash.push(figure.textContent);
            return clash;
        }"""
    )
    assert clashes == []


def test_a_heading_sorts_its_table(opened, result):
    page = opened()
    page.locator("#energy summary").click()
    heading = page.locator("#energy thead th", has_text="MACs")

    def column():
        return page.evaluate("[...document.querySelectorAll('#energy tbody tr')].map(r => Number(r.cells[3].dataset.v))")

    given = [layer.macs for layer in result.layers]
    assert column() == given
    heading.locator("button").click()
    assert column() == sorted(given, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    assert column() == sorted(given)
    page.locator("#energy thead th", has_text="layer").locator("button").press("Enter")
    names = page.locator("#energy tbody th").all_text_contents()
    assert names[:3] == ["conv1", "dw1", "dw2"] and names[-1] == "pw13"
    assert heading.get_attribute("aria-sort") is None


def test_a_filter_keeps_the_rows_with_its_words(opened):
    page = opened()
    page.locator("#energy summary").click()
    page.locator("#energy .filter").fill("dw1 ")
    shown = page.locator("#energy tbody tr:visible th").all_text_contents()
    assert shown == ["dw1", "dw10", "dw11", "dw12", "dw13"]
    rows = page.locator("#energy tbody tr").count()
    assert page.locator("#energy .count").text_content() == f"5 of {rows} rows"
    page.locator("#energy .filter").fill("")
    assert page.locator("#energy tbody tr:visible").count() == rows


@pytest.mark.parametrize("scripts", [True, False])
def test_the_switches_show_data_types_shares_and_the_order_of_the_network(opened, scripts):
    page = opened(scripts=scripts)

    def widths():
        tracks = page.locator("#energy .bars:visible .track")
        return [tracks.nth(i).locator(".stack").bounding_box()["width"] / tracks.nth(i).bounding_box()["width"] for i in range(3)]

    assert page.locator("#energy .bars.of-level").is_visible() and not page.locator("#energy .bars.of-tensor").is_visible()
    assert widths()[2] < 0.99
    page.get_by_text("by data type").click()
    assert page.locator("#energy .bars.of-tensor").is_visible() and not page.locator("#energy .bars.of-level").is_visible()
    assert page.locator("#energy .legend:visible").text_content() == "weightsinputsoutputsarithmetic"
    page.locator("#energy label", has_text="share").click()
    page.wait_for_timeout(400)
    assert min(widths()) > 0.99
    page.get_by_text("as in the network").click()
    tops = {
        page.locator("#energy .bars.of-tensor .row").nth(i).locator(".name").text_content(): page.locator("#energy .bars.of-tensor .row").nth(i).bounding_box()["y"]
        for i in range(page.locator("#energy .bars.of-tensor .row").count())
    }
    assert sorted(tops, key=tops.__getitem__)[:4] == ["conv1", "dw1", "pw1", "dw2"]


def test_light_turns_dark(opened):
    page = opened()
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("#theme").click()
    dark = page.evaluate(paper)
    assert light != dark and page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.locator("#theme").click()
    assert page.evaluate(paper) == light


def test_everything_can_be_reached_by_keys(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    area = page.locator("#energy-roofline .area")
    area.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").text_content()
    page.keyboard.press("ArrowRight")
    second = page.locator("#tip").text_content()
    assert "pJ a MAC" in first and "pJ a MAC" in second and first != second
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    without = page.evaluate("[...document.querySelectorAll('button, a[href], input, summary')].filter(e => e.tabIndex < 0).length")
    assert without == 0


def test_what_stands_under_the_pointer_is_said(opened):
    page = opened()
    page.locator("#energy .of-level .stack i").first.hover()
    assert "DRAM" in page.locator("#tip").text_content() and "%" in page.locator("#tip").text_content()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_result_file_comes_out_as_it_went_in(opened, result, tmp_path, scripts):
    page = opened(scripts=scripts)
    with page.expect_download() as waiting:
        page.locator("#result").click()
    waiting.value.save_as(tmp_path / "out")
    got = (tmp_path / "out").read_bytes()
    if not scripts:
        import gzip

        assert waiting.value.suggested_filename == "mobilenet_v1.eyeriss-like-45nm.json.gz"
        got = gzip.decompress(got)
    assert got.decode() == result.to_json()


def test_paper_is_white_and_shows_every_table_and_no_control(opened):
    page = opened(scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible() and not page.locator(".controls").is_visible()
    assert page.locator("#energy tbody tr").first.is_visible() and page.locator("#provenance tbody tr").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelector('#energy details').open") is False


def test_what_a_user_wrote_stays_text(opened, result, tmp_path):
    document = json.loads(result.to_json())
    evil = "<script>alert(1)</script>"
    document["layers"][0]["name"] = evil
    document["model"] = "<img src=x onerror=alert(2)>"
    document["provenance"].pop("content_hash")
    file = tmp_path / "evil.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    written = tmp_path / "evil.html"
    written.write_text(picojoule.report(file), encoding="utf-8")
    page = opened(written)
    assert page.title().startswith("<img src=x")
    assert page.locator("#energy .bars.of-level .name", has_text=evil).count() == 1
    assert page.locator("main script, main img").count() == 0


def test_without_scripts_all_figures_are_there(opened):
    page = opened(scripts=False)
    for name in ("speed-of-light", "energy", "traffic", "latency-roofline", "energy-roofline", "ladder", "eyexam", "mappings", "provenance"):
        section = page.locator(f"#{name}")
        assert section.locator(".drawing").bounding_box()["height"] > 60
        assert section.locator(".finding").text_content().strip().endswith(".")
        assert section.locator("details.data table").count() == 1
