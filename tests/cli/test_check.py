"""``picojoule check``: exit codes, forms of output, and results that are broken, old or hostile."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule.result_file import write_result


@pytest.fixture
def saved(folder):
    """The sample on a machine with a clock, as a file: 875.4 µJ, 28.5 ms."""
    write_result(sample_estimates.estimate(clock_hz=2e8), folder / "toy.json")
    return "toy.json"


def test_yes_is_0_no_is_1_and_cannot_tell_is_1(run, saved):
    ran = run("check", saved, "--max-energy", "1 mJ", "--max-latency", "33ms")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "yes: all 2 requirements are met" in ran.stdout
    ran = run("check", saved, "--max-energy", "0.5 mJ", "--max-area", "1 mm2")
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert "no: energy missed at the step energy and power; 1 later one not evaluated" in ran.stdout
    ran = run("check", saved, "--min-accuracy", "0.9")
    assert ran.exit_code == 1
    assert "cannot tell: the result doesn't say enough about accuracy" in ran.stdout
    assert run("check", saved, "--min-accuracy", "0.9", "--accuracy", "91%").exit_code == 0


def test_json_is_one_document(run, saved):
    ran = run("check", saved, "--max-energy", "0.5 mJ", "--format", "json")
    document = json.loads(ran.stdout)
    assert (ran.exit_code, document["schema"], document["answer"]) == (1, "picojoule/verdict/1", "no")
    (finding,) = document["findings"]
    assert (finding["key"], finding["limit"], finding["unit"]) == ("max_energy", 5e8, "pJ")
    assert finding["ratio"] == pytest.approx(finding["value"] / 5e8)


def test_markdown_for_a_summary(run, saved, folder):
    assert run("check", saved, "--max-energy", "0.5 mJ", "--format", "md", "-o", "s.md").exit_code == 1
    text = (folder / "s.md").read_text(encoding="utf-8")
    assert text.startswith("## toynet on toy-eyeriss: no, at energy and power\n")
    assert "| no     | energy and power | energy      | ≤ 500 µJ |" in text


def test_a_model_is_estimated_with_the_flags_of_estimate(run):
    arguments = (
        "check",
        "tiny.yaml",
        "--hardware",
        "eyeriss-v1",
        "--factors",
        "exact",
        "--batch",
        "2",
        "--no-cache",
        "-q",
    )
    ran = run(*arguments, "--max-latency", "1 s", "--format", "json")
    document = json.loads(ran.stdout)
    assert (ran.exit_code, document["batch"], document["model"]) == (0, 2, "tiny")
    assert run("check", "tiny.yaml", "--max-latency", "1 s").exit_code == 2


def test_a_result_takes_no_flags_of_estimate(run, saved):
    for flags in (("--hardware", "eyeriss-v1"), ("--batch", "1"), ("--time-limit", "1s"), ("--no-cache",)):
        ran = run("check", saved, "--max-energy", "1 mJ", *flags)
        assert ran.exit_code == 2
        assert f"{flags[0].replace('--no-', '--')}: toy.json is a result" in ran.stderr


def test_requirements_are_refused_with_their_line(run, saved, folder):
    (folder / "r.yaml").write_text("max_latency: 33 ms\nmax_energy: 5 mj\n")
    ran = run("check", saved, "--require", "r.yaml", "--format", "json")
    error = json.loads(ran.stdout)["error"]
    assert (ran.exit_code, error["code"], error["where"]) == (3, "requirements", "r.yaml:2: max_energy")
    assert error["hint"].startswith("Did you mean 'mJ'?")
    ran = run("check", saved, "--max-energy", "5 mj")
    assert ran.exit_code == 2
    assert "Did you mean 'mJ'?" in ran.stderr
    assert run("check", saved).exit_code == 2
    assert run("check", saved, "--require", "none.yaml").exit_code == 2


BROKEN = {
    "older": (lambda text: text.replace("estimate/1", "estimate/0", 1), "written by an older version"),
    "newer": (lambda text: text.replace("estimate/1", "estimate/9", 1), "written by a newer version"),
    "cut off": (lambda text: text[: len(text) // 2], "the file is cut off"),
    "not a number": (
        lambda text: text.replace('"energy_pj": ', '"energy_pj": NaN, "x": ', 1),
        "NaN is not a finite number",
    ),
    "infinite": (
        lambda text: text.replace('"energy_pj": ', '"energy_pj": 1e999, "x": ', 1),
        "1e999 is not a finite number",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("verb", ["check", "compare"])
def test_a_result_that_is_broken_is_refused(run, saved, folder, how, verb):
    change, message = BROKEN[how]
    (folder / "bad.json").write_text(change((folder / saved).read_text(encoding="utf-8")), encoding="utf-8")
    ran = run(verb, "bad.json", *(("--max-energy", "1 J") if verb == "check" else (saved,)))
    assert ran.exit_code == 3
    assert message in ran.stderr
    assert "bad.json" in ran.stderr


def test_html_and_escapes_in_names_stay_text(run, folder):
    name = "<script>alert(1)</script>|\x1b[2J[x](http://e)"
    base = sample_estimates.estimate()
    hostile = replace(base, layers=(replace(base.layers[0], name=name, energy_pj=1e12), *base.layers[1:]))
    write_result(replace(hostile, model="<b>net</b>"), folder / "h.json")
    shown = run("check", "h.json", "--max-energy", "1 uJ")
    assert "\x1b" not in shown.stdout
    page = run("check", "h.json", "--max-energy", "1 uJ", "--format", "md").stdout
    assert "<script" not in page and "<b>" not in page and "](http" not in page
    assert "&lt;script>alert(1)&lt;/script>\\|" in page
