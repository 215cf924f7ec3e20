"""``picojoule report``: a page in a file, and what is refused."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def saved(estimate):
    """The result file of ``tiny.yaml``."""
    assert estimate("-q", "--factors", "exact", "--save", "tiny.json").exit_code == 0
    return "tiny.json"


def test_a_page_is_written_and_never_over_another(run, saved, folder):
    ran = run("report", saved, "-o", "r.html")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr.startswith(" wrote r.html, ")
    page = (folder / "r.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.endswith("</html>\n") and "conv1" in page
    again = run("report", saved, "-o", "r.html")
    assert again.exit_code == 2 and "r.html exists" in again.stderr
    assert run("report", saved, "-o", "r.html", "--force").exit_code == 0
    assert run("report", saved, "-q", "-o", "s.html").stderr == ""
    assert run("report", saved).stdout == page
    replaced = run("report", saved, "-o", saved, "--force")
    assert replaced.exit_code == 2 and "-o would replace the input" in replaced.stderr


def test_before_and_after(run, saved, estimate, folder):
    assert estimate("-q", "--bits", "8", "--factors", "exact", "--save", "eight.json").exit_code == 0
    assert "less energy than before" in run("report", saved, "eight.json").stdout


def test_an_explanation_is_taken(run, saved):
    assert run("explain", saved, "--format", "json", "-o", "e.json").exit_code == 0
    assert "* is a bound" not in run("report", saved, "--explanation", "e.json").stdout
    assert run("report", saved, "--explanation", saved).exit_code == 3


def _older(text):
    return text.replace("picojoule/estimate/1", "picojoule/estimate/0")


def _not_a_number(text):
    document = json.loads(text)
    document["layers"][0]["energy_pj"] = float("nan")
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_older, "written by an older version: schema picojoule/estimate/0"),
        (lambda text: text[: len(text) // 2], "the file is cut off"),
        (_not_a_number, "NaN is not a finite number"),
        (lambda text: "", "the file is empty"),
        (lambda text: '{"a": 1}', "not a picojoule result"),
        (lambda text: text.replace('"tile": ', '"tiel": ', 1), "unknown key 'tiel'"),
    ],
)
def test_a_file_that_is_no_result_is_refused_with_what_is_wrong(run, saved, folder, change, message):
    (folder / "bad.json").write_text(change((folder / saved).read_text(encoding="utf-8")), encoding="utf-8")
    ran = run("report", "bad.json", "-o", "r.html")
    assert ran.exit_code == 3 and message in ran.stderr
    assert not (folder / "r.html").exists()


def test_results_of_two_networks_are_refused(run, saved, estimate, folder):
    (folder / "tiny.yaml").write_text((folder / "tiny.yaml").read_text().replace("name: tiny", "name: other"))
    assert estimate("-q", "--factors", "exact", "--save", "other.json").exit_code == 0
    ran = run("report", saved, "other.json", "-o", "r.html")
    assert ran.exit_code == 2
    assert "the network other cannot be compared with tiny" in ran.stderr and "Compare results of one network" in ran.stderr
