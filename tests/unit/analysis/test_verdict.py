"""Verdicts: the order of the questions, what each answers, by how much it is missed, and what it would take."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import sample_estimates

import picojoule
from picojoule import check
from picojoule.analysis.requirements import REQUIREMENTS, STEPS, read_requirements
from picojoule.errors import RequirementsError, UnknownNameError, UsageError
from picojoule.result import content_hash
from picojoule.result_file import write_result


def sample(**changes):
    """875.4 µJ and 5.7 M cycles at 200 MHz, an inference; floor 701.6 µJ; accuracy 0.9, area 12 mm²."""
    base = sample_estimates.estimate(clock_hz=2e8)
    whole = replace(base, coverage={**base.coverage, "macs": 1.0}, accuracy=0.9, area_mm2=12.0)
    return replace(whole, **changes)


def answers(verdict):
    return {finding.key: finding.answer for finding in verdict.findings}


def test_everything_is_met():
    verdict = check(
        sample(), min_accuracy=0.9, max_latency="29 ms", min_throughput="30/s", max_energy="1 mJ", max_power="100 mW",
        max_area="12 mm2",
    )  # fmt: skip
    assert verdict.ok
    assert (verdict.answer, verdict.stopped_at) == ("yes", None)
    assert set(answers(verdict).values()) == {"yes"}
    assert all(finding.needed == () for finding in verdict.findings)


def test_questions_come_in_the_order_of_the_evaluation_whatever_the_order_asked():
    verdict = check(sample(), max_area="20 mm2", max_energy="1 mJ", max_latency="1 s", min_accuracy=0.5)
    assert [finding.key for finding in verdict.findings] == ["min_accuracy", "max_latency", "max_energy", "max_area"]
    assert [requirement.step for requirement in REQUIREMENTS.values()] == sorted(
        (requirement.step for requirement in REQUIREMENTS.values()), key=STEPS.index
    )


@pytest.mark.parametrize(
    ("limits", "stopped_at", "expected"),
    [
        ({"min_accuracy": 0.95}, "accuracy", ["no", "not evaluated", "not evaluated", "not evaluated"]),
        ({"max_latency": "1 ms"}, "latency and throughput", ["yes", "no", "not evaluated", "not evaluated"]),
        ({"max_energy": "1 uJ"}, "energy and power", ["yes", "yes", "no", "not evaluated"]),
        ({"max_area": "1 mm2"}, "cost", ["yes", "yes", "yes", "no"]),
    ],
)
def test_the_first_no_ends_it(limits, stopped_at, expected):
    loose = {"min_accuracy": 0.5, "max_latency": "1 s", "max_energy": "1 J", "max_area": "20 mm2"}
    verdict = check(sample(), **(loose | limits))
    assert (verdict.answer, verdict.stopped_at) == ("no", stopped_at)
    assert list(answers(verdict).values()) == expected
    assert all(finding.value is None for finding in verdict.findings if finding.answer == "not evaluated")


def test_a_step_is_answered_whole():
    verdict = check(sample(), max_latency="1 ms", min_throughput="1/s")
    assert answers(verdict) == {"max_latency": "no", "min_throughput": "yes"}


def test_by_how_much_and_what_it_takes():
    estimate = sample()
    (energy,) = check(estimate, max_energy="800 uJ").findings
    assert energy.ratio == pytest.approx(estimate.energy_pj / 800e6)
    miss, mapping, where = energy.needed
    assert miss == f"{(estimate.energy_pj - 800e6) / 1e6:.2f} µJ too much: 1.09× the limit"
    assert mapping.startswith("a mapping outside the space that was searched: none inside takes less than 875.")
    share = 100 * estimate.by_level()["DRAM"] / estimate.energy_pj
    assert where == f"8.6 % less: DRAM takes {share:.0f} % of all, the layer layer4.0.conv2 12 %"
    assert "no mapping at all takes less than" in check(estimate, max_energy="1 uJ").findings[0].needed[1]
    open_yet = replace(estimate, bound_pj=7.9e8, gap=0.1)
    assert "(--time-limit none)" in check(open_yet, max_energy="800 uJ").findings[0].needed[1]
    other = replace(estimate, objective="latency")
    assert check(other, max_energy="800 uJ").findings[0].needed[1].endswith("--objective energy may take less")


def test_what_more_speed_takes():
    estimate = sample()
    busy = sum(layer.latency_cycles * (layer.utilization or 0) for layer in estimate.layers) / 2e8
    (latency,) = check(estimate, max_latency="27 ms").findings
    assert latency.value == estimate.latency_s
    assert any(f"MAC units that work {100 * busy / 0.027:.0f} % of the time, now" in part for part in latency.needed)
    (hopeless,) = check(estimate, max_latency="10 ms").findings
    assert any(
        part.startswith(f"{busy / 0.01:.2f}× the MAC units, the clock, or fewer MACs") for part in hopeless.needed
    )
    hertz = 2e8 * estimate.latency_s / 0.01
    assert any(f"a clock of {hertz / 1e6:.0f} MHz, now 200 MHz" in part for part in hopeless.needed)
    fastest = replace(estimate, objective="latency", bound=5.6e6, floor=1e6)
    assert "none inside takes less than 28.00 ms" in check(fastest, max_latency="27 ms").findings[0].needed[1]
    skips = replace(estimate, hardware={**estimate.hardware, "zeros": {"skipping": ["inputs"]}})
    assert not any("MAC units" in part for part in check(skips, max_latency="10 ms").findings[0].needed)


@pytest.mark.parametrize(
    ("changes", "limits", "words"),
    [
        ({"accuracy": None}, {"min_accuracy": 0.5}, "--accuracy"),
        ({"area_mm2": None}, {"max_area": "1 mm2"}, "area_mm2: in its description"),
        ({"latency_s": None, "throughput_inf_s": None}, {"max_latency": "1 s"}, "cycles are in time from 5.71 MHz on"),
        ({"latency_s": None, "throughput_inf_s": None}, {"min_throughput": "1/s"}, "5.71 MHz on"),
        (
            {"table": {"name": "t", "source": "", "unit": "mac16", "node_nm": 65}},
            {"max_energy": "1 J"},
            "priced in joules",
        ),
        (
            {"table": {"name": "t", "source": "", "unit": "mac16", "node_nm": 65}},
            {"max_power": "1 W"},
            "priced in joules",
        ),
        ({"latency_s": None, "throughput_inf_s": None}, {"max_power": "1 W"}, "--fps"),
    ],
)
def test_what_the_result_does_not_say_is_neither_yes_nor_no(changes, limits, words):
    verdict = check(sample(**changes), **limits)
    (finding,) = verdict.findings
    assert (verdict.answer, verdict.stopped_at, verdict.ok) == ("cannot tell", None, False)
    assert (finding.answer, finding.value) == ("cannot tell", None)
    assert words in finding.needed[0]


def test_what_cannot_be_told_does_not_end_the_evaluation():
    verdict = check(sample(accuracy=None), min_accuracy=0.5, max_latency="1 ms", max_area="20 mm2")
    assert list(answers(verdict).values()) == ["cannot tell", "no", "not evaluated"]
    assert (verdict.answer, verdict.stopped_at) == ("no", "latency and throughput")


def test_accuracy_may_be_given():
    assert check(sample(accuracy=None), min_accuracy=0.9, accuracy="91.7%").ok
    (finding,) = check(sample(), min_accuracy=0.92, accuracy=0.9).findings
    assert finding.needed[0] == "2.00 points short"


def test_power_is_at_the_rate_of_the_result_or_required_or_without_a_pause():
    estimate = sample()
    joules = estimate.energy_pj * 1e-12
    (without,) = check(estimate, max_power="1 mW").findings
    assert without.value == pytest.approx(joules / estimate.latency_s)
    assert "without a pause" in without.basis
    required = check(estimate, max_power="1 mW", min_throughput="10/s").findings[1]
    assert required.value == pytest.approx(joules * 10)
    asked = check(replace(estimate, fps=2.0, power_w=2 * joules), max_power="2 mW", min_throughput="10/s").findings[1]
    assert (asked.value, asked.answer) == (pytest.approx(joules * 2), "yes")
    assert f"at most {1e-3 / joules:.3f} inferences a second, or" in without.needed[1]


def test_what_is_not_costed_whole_is_never_told_to_suffice():
    partly = sample(coverage={**sample().coverage, "macs": 0.8})
    assert answers(check(partly, max_energy="1 J")) == {"max_energy": "cannot tell"}
    assert answers(check(partly, max_energy="1 uJ")) == {"max_energy": "no"}
    assert answers(check(partly, max_area="20 mm2")) == {"max_area": "yes"}


def test_a_limit_that_is_just_met_is_met():
    estimate = sample()
    assert check(estimate, max_energy=f"{estimate.energy_pj!r} pJ").ok
    assert not check(estimate, max_energy=f"{estimate.energy_pj * (1 - 1e-6)!r} pJ").ok


def test_energy_is_of_an_inference_and_latency_of_the_batch():
    estimate = replace(sample(), batch=4, energy_pj_per_inference=sample().energy_pj / 4)
    energy, latency = (
        check(estimate, **{key: value}).findings[0]
        for key, value in (("max_energy", "300 uJ"), ("max_latency", "1 ms"))
    )
    assert (energy.answer, energy.value) == ("yes", estimate.energy_pj / 4)
    assert latency.basis == "of a batch of 4"


def test_memory_is_all_that_is_on_the_chip():
    estimate = picojoule.estimate("merkel:L1", hardware="eyeriss-v1")
    (finding,) = check(estimate, max_memory="194 KiB").findings
    assert finding.value == 8 * 1024 * (100 + 8) + 168 * (12 + 224 + 24) * 16
    assert finding.answer == "yes"
    assert check(estimate, max_memory="193 KiB").answer == "no"


def test_a_model_is_estimated_first():
    verdict = check("merkel:L1", hardware="eyeriss-v1", max_energy="1 mJ", batch=2)
    assert (verdict.batch, verdict.ok) == (2, True)
    assert any("nobody published energies" in note for note in verdict.notes)


def test_files_of_results(tmp_path):
    bare = sample(accuracy=None)
    whole = replace(bare, provenance={**bare.provenance, "content_hash": content_hash(json.loads(bare.to_json()))})
    write_result(whole, tmp_path / "a.json")
    assert check(tmp_path / "a.json", max_energy="1 J").notes == check(whole, max_energy="1 J").notes
    write_result(replace(whole, energy_pj=1.0), tmp_path / "b.json")
    assert "was changed after it was written" in check(str(tmp_path / "b.json"), max_energy="1 J").notes[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing is required"),
        ({"max_energy": "1 J", "hardware": "eyeriss-v1"}, "a result has its machine and its settings already"),
        ({"max_energy": "1 J", "batch": 4}, "a result has its machine and its settings already"),
        ({"max_energy": "5 mj"}, "'5 mj' is not an energy: unknown unit 'mj'"),
        ({"max_energy": "5"}, "'5' has no unit"),
        ({"max_energy": "-5 mJ"}, "an energy must be more than 0, got '-5 mJ'"),
        ({"max_energy": "much"}, "'much' is not an energy"),
        ({"min_accuracy": "91"}, "a share is from 0 to 1 (100%), got '91'"),
        ({"require": {"max_enrgy": "1 J"}}, "unknown key 'max_enrgy'"),
        ({"require": {"max_energy": True}}, "expected a value such as '5 mJ', got True"),
        ({"require": 5}, "requirements are a file or a table, got a int"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(UsageError) as caught:
        check(sample(), **arguments)
    assert caught.value.message == message


def test_a_model_needs_a_machine():
    with pytest.raises(UsageError, match="merkel:L1 is no result file"):
        check("merkel:L1", max_energy="1 J")


def test_units_as_people_write_them():
    metres = {"max_energy": ("5 uJ", "5 µJ", "5 μJ", "0.005mJ", "5e-6 J"), "max_area": ("20 mm2", "20mm²", "0.2 cm2")}
    for key, texts in metres.items():
        values = [REQUIREMENTS[key].parse(text) for text in texts]
        assert values == pytest.approx([values[0]] * len(values))
    assert REQUIREMENTS["min_throughput"].parse("30 fps") == REQUIREMENTS["min_throughput"].parse("1800/min") == 30


# Requirements from a file


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "r.yaml"

    return write


def test_a_file_and_single_limits_beside_it(file):
    path = file("# the camera\nmax_energy: 1 uJ\nmin_accuracy: 0.9\n")
    assert check(sample(), require=path).answer == "no"
    assert check(sample(), require=str(path), max_energy="1 mJ").answer == "yes"


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (
            "max_energy: 5 mJ\nmax_latncy: 3 ms\n",
            "2: max_latncy",
            "unknown key 'max_latncy'",
            "Did you mean 'max_latency'?",
        ),
        ("\n\nmax_energy: 5 mj\n", "3: max_energy", "'5 mj' is not an energy: unknown unit 'mj'", "Did you mean 'mJ'?"),
        ("max_power: 5 MW\n", "1: max_power", "'5 MW' is not a power: unknown unit 'MW'", "Did you mean 'mW'?"),
        (
            "max_latency: 33 msec\n",
            "1: max_latency",
            "'33 msec' is not a time: unknown unit 'msec'",
            "Did you mean 'ms'?",
        ),
        ("max_energy: 5\n", "1: max_energy", "'5' has no unit", "Write a number and a unit"),
        ("max_energy:\n", "1: max_energy", "there is no value", "Give one"),
        ("max_energy: [5 mJ]\n", "1: max_energy", "expected one value, got a list", ""),
        (
            "max_energy: 5 mJ\nmax_energy: 6 mJ\n",
            "2: max_energy",
            "the key 'max_energy' is there twice, first on line 1",
            "Keep one",
        ),
        ("- max_energy\n", "1", "expected a table of keys, got a list", "Allowed: max_area"),
        ("max_energy: !!python/object:os.system 5\n", "1: max_energy", "the tag", "A description is plain data"),
        ("max_energy: {\n", "2", "this is not valid YAML", ""),
        ("", "", "the file is empty", ""),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what_was_meant(file, text, line, message, hint):
    path = file(text)
    with pytest.raises(RequirementsError) as caught:
        read_requirements(path)
    assert caught.value.where == (f"{path}:{line}" if line else str(path))
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)
    assert caught.value.exit_code == 3


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnknownNameError):
        read_requirements(tmp_path / "none.yaml")
