"""What the terminal shows of verdicts, datasheets, changes, complexity, decisions and the cache; and that no table lacks a golden file."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from support import sample_estimates

import picojoule
from picojoule import reporting
from picojoule.analysis import check, compare
from picojoule.analysis.complexity import complexity_bounds, complexity_over_buffers
from picojoule.analysis.datasheet import datasheet
from picojoule.exits import Added, AddedExit, AtWidth, Candidate, CrossFitted, ExitEnergies, Measured, Probe, choose, decide, dials, fit
from picojoule.reporting import (
    added_exits_text,
    bounds_text,
    choice_text,
    comparison_markdown,
    comparison_text,
    curve_text,
    datasheet_csv,
    datasheet_markdown,
    datasheet_text,
    decision_text,
    dials_text,
    fit_text,
    validation_text,
    verdict_markdown,
    verdict_text,
)
from picojoule.reporting.cached import cache_text
from picojoule.search import Exact
from picojoule.search.cache import Kept, algorithm
from picojoule.study.validation import SWEEPS, validate_complexity
from picojoule.study.validation.sweeps import Sweep
from picojoule.version import __version__
from picojoule.workload import Layer, Nest, Network

WIDTHS = (80, 140)
SEARCH = Exact(time_limit_s=None, factors="exact")


def fits(text, width):
    """No line is wider than the terminal, and none ends in blanks."""
    for line in text.splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip(), repr(line)


def two_layers():
    layers = (
        Layer(name="conv1", kind="conv", nest=Nest(K=16, C=8, P=8, Q=8, R=3, S=3, pad=(1, 1, 1, 1))),
        Layer(name="fc", kind="linear", nest=Nest(K=32, C=64)),
    )
    return Network(name="toynet", layers=layers)


def estimate():
    """The sample on a machine with a clock; part of it is not costed."""
    return replace(sample_estimates.estimate(clock_hz=2e8), area_mm2=12.0)


VERDICTS = {
    "yes": {
        "max_latency": "33 ms",
        "min_throughput": "30/s",
        "max_energy": "1 mJ",
        "max_power": "100 mW",
        "max_area": "20 mm2",
    },
    "no": {
        "min_accuracy": 0.9,
        "max_latency": "33 ms",
        "max_energy": "0.5 mJ",
        "max_power": "10 mW",
        "max_area": "20 mm2",
    },
    "slow": {"max_latency": "10 ms", "min_throughput": "30/s", "max_energy": "1 mJ"},
    "unknown": {"min_accuracy": "92.5%", "max_latency": "33 ms"},
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict(golden, name, width):
    text = verdict_text(check(estimate(), **VERDICTS[name]), width=width, color=False)
    fits(text, width)
    golden(f"verdict-{name}-{width}", text)


def test_a_verdict_as_a_page(golden):
    golden("verdict-markdown", verdict_markdown(check(estimate(), **VERDICTS["no"])))


def test_a_verdict_in_colours(golden):
    text = verdict_text(check(estimate(), **VERDICTS["no"]), width=140, color=True)
    golden("verdict-colours-140", text.replace("\x1b", "ESC"))


@pytest.fixture(scope="module")
def sheet():
    first = picojoule.estimate(two_layers(), hardware="eyeriss-v1", search=SEARCH, batch=4)
    other = replace(
        picojoule.estimate(two_layers(), hardware="eyeriss-v1", search=SEARCH, bits=8), model="toynet, 8 bit"
    )
    told = {
        "accuracy": "80.2%",
        "metric": "top-5",
        "dataset": "ImageNet",
        "difficulty": "1000 classes",
        "runtime": "2 ms",
    }
    return datasheet([first, other], about=[told, {}])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_datasheet(golden, sheet, width):
    text = datasheet_text(sheet, width=width, color=False)
    fits(text, width)
    golden(f"datasheet-{width}", text)


def test_a_datasheet_in_other_forms(golden, sheet):
    golden("datasheet-markdown", datasheet_markdown(sheet))
    golden("datasheet-csv", datasheet_csv(sheet))


def changed():
    """Two versions of a network: one layer dearer, one cheaper, one gone, one new; three limits."""
    before = estimate()
    layers = list(before.layers)
    layers[0] = replace(layers[0], energy_pj=layers[0].energy_pj * 1.5)
    layers[1] = replace(layers[1], energy_pj=layers[1].energy_pj * 0.75, stride=(2, 2))
    layers[2] = replace(layers[2], name="layer1.0.conv2b")
    after = replace(before, layers=tuple(layers), energy_pj=before.energy_pj * 1.03, latency_s=before.latency_s * 0.9)
    return compare([before, after], fail_on=["energy:+2%", "latency:0%", "activations:+1%"])


@pytest.mark.parametrize("width", WIDTHS)
def test_what_changed(golden, width):
    text = comparison_text(changed(), width=width, color=False)
    fits(text, width)
    golden(f"comparison-changed-{width}", text)
    whole = comparison_text(changed(), width=width, color=False, every=True)
    fits(whole, width)
    golden(f"comparison-every-{width}", whole)


def test_what_changed_as_a_page(golden):
    golden("comparison-changed-markdown", comparison_markdown(changed()))


@pytest.mark.parametrize("width", WIDTHS)
def test_bounds_of_complexity(golden, width):
    text = bounds_text(complexity_bounds(two_layers(), buffer_bits=8 * 1024, search=SEARCH), width=width, color=False)
    fits(text, width)
    golden(f"bounds-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_bounds_over_buffers(golden, width):
    curve = complexity_over_buffers(two_layers(), buffers=tuple(8 * 2**i for i in range(6, 14, 2)), search=SEARCH)
    text = curve_text(curve, width=width, color=False)
    fits(text, width)
    golden(f"buffers-{width}", text)


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    """Five points of each sweep, beside made-up measurements that scatter by some percent."""
    folder = tmp_path_factory.mktemp("reference")
    small = tuple(Sweep(parameter=sweep.parameter, values=sweep.values[:5], power=sweep.power) for sweep in SWEEPS)
    names = {"d": "energy_d", "n": "energy_inputs", "r": "energy_kernels", "s": "energy_stride"}
    for sweep in small:
        lines = []
        for i, value in enumerate(sweep.values):
            macs = sweep.layer(value).nest.macs
            part, data = macs * 0.5608, macs * 10 * (1 + 0.04 * (i * 7 % 3 - 1))
            lines.append(f"{value};{part + data!r};{part!r};{part + data - part!r};0;0")
        (folder / f"simba_{names[sweep.parameter]}.csv").write_text("\n".join(lines), encoding="utf-8")
    import picojoule.study.validation as package
    from picojoule.study.validation import findings, validate

    with pytest.MonkeyPatch.context() as patch:
        for module in (package, validate, findings):
            patch.setattr(module, "SWEEPS", small)
        found = validate_complexity("simba-like-45nm", reference=folder)
        yield found


@pytest.mark.parametrize("width", WIDTHS)
def test_a_validation(golden, validation, width):
    text = validation_text(validation, width=width, color=False)
    fits(text, width)
    golden(f"validation-{width}", without_noise(text))


def without_noise(text):
    """What of a validation is the rounding of doubles, and so another number elsewhere: p-values of a fit that is exact."""
    exact = re.search(r"^ d .*? (>\.9999) +(\S+) +(\S+)", text, re.MULTILINE)
    assert exact
    for value in exact.groups()[1:]:
        text = text.replace(value, "~" * 5, 1)
    return re.sub(r"to \de-1\d", "to ~", text)


CANDIDATES = [
    Candidate(name="L1", energy=30_720, accuracy=0.36),
    Candidate(name="L2", energy=2_131_200, accuracy=0.62),
    Candidate(name="L4", energy=55_809_280, accuracy=0.76),
    Candidate(name="L6", energy=94_762_240, accuracy=0.8),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_choice(golden, width):
    plain = choice_text(choose(CANDIDATES, alpha=0.3), unit="MACs", width=width, color=False)
    fitted = choose(CANDIDATES, gamma=3.0, energy_ratio=0.5, fit="exponential")
    text = plain + "\n" + choice_text(fitted, unit="MACs", width=width, color=False)
    fits(text, width)
    golden(f"choice-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_decision_about_exits(golden, width):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1000)
    logits = np.reshape([1.0, 2.0, 3.0], (3, 1, 1)) * np.eye(3)[labels] + rng.normal(size=(3, 1000, 3))
    energies = ExitEnergies(trunk=(1e3, 4e3, 1e4), heads=(100.0, 500.0, 2e3))
    held = logits[:, ::2] + 0.01 * rng.normal(size=(3, 500, 3))
    found = decide(logits, labels, energies, target_accuracy=0.85, levels=20, calibration=(held, labels[::2]))
    text = decision_text(found, found.policy.measure(logits, labels), unit="pJ", width=width, color=False)
    fits(text, width)
    golden(f"exit-decision-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_width_and_depth(golden, width):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    parts = [
        AtWidth(
            width=share,
            energies=ExitEnergies(trunk=(1e3 * share, 4e3 * share, 1e4 * share), heads=(100.0, 500.0, 0.0)),
            choosing=np.reshape([1.0, 2.0, 3.0], (3, 1, 1)) * share * np.eye(3)[labels] + 0.5 * rng.normal(size=(3, 600, 3)),
            test=np.reshape([1.0, 2.0, 3.0], (3, 1, 1)) * share * np.eye(3)[labels] + 0.5 * rng.normal(size=(3, 600, 3)),
            parameters=round(1e6 * share),
        )
        for share in (0.5, 1.0)
    ]
    found = dials(parts, labels, labels, levels=8)
    text = dials_text(found, unit="pJ", target=0.95, width=width, color=False)
    fits(text, width)
    golden(f"dials-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_added_exits(golden, width):
    def one(name, head, energy, head_energy, accuracy):
        return AddedExit(
            name=name, head=head, energy=energy, head_energy=head_energy, accuracy_choosing=accuracy, accuracy=accuracy
        )  # fmt: skip

    probes = [("layer1.0", 1.5e8, 4e7, 0.61, 0.12, 2, 0.41), ("layer2", 5e8, 3e7, 0.88, 0.31, 1, 0.31), ("layer3.0", 8e8, 3e7, 0.9, -0.02, None, None)]
    names = ("place", "energy", "head_energy", "accuracy", "saved", "rank", "saved_with")
    shares = {"images": 2000, "accuracy": 0.9312, "energy": 4.6e8, "shares": (0.52, 0.28, 0.2)}
    found = Added(
        model="mymodels:resnet", hardware="eyeriss-like-45nm", unit="pJ", alone=9.5e8, accuracy_alone=0.934,
        exits=(
            one("layer1.0", "conv 32/2, conv 64/2, linear", 1.5e8, 4e7, 0.842), one("layer2", "linear", 5.4e8, 3e7, 0.905),
            one("last", "", 1.02e9, 0.0, 0.934),
        ),
        probes=tuple(Probe(head="linear", **dict(zip(names, row, strict=True))) for row in probes),
        lose=0.2, asked=("layer1.0", "layer2", "last"), combined=True, target_accuracy=0.93126, decision={},
        choosing=CrossFitted(images=2000, accuracy=0.9314, energy=4.7e8),
        test=Measured(**{**shares, "images": 8000, "accuracy": 0.9322}), folder="early",
        files={"bundle": "bundle", "energies": "energies.json", "choose": "choose.npz", "test": "test.npz", "result": "result.json"},
        notes=("the backbone was trained, too: its last exit no longer answers as the network did",),
    )  # fmt: skip
    text = added_exits_text(found, width=width, color=False)
    fits(text, width)
    golden(f"added-exits-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_fit(golden, width):
    names = [x.name for x in CANDIDATES]
    accuracies, sizes = [x.accuracy for x in CANDIDATES], [x.energy for x in CANDIDATES]
    found = fit("exponential", accuracies, sizes)
    text = fit_text(found, names, accuracies, sizes, size="MACs", width=width, color=False)
    fits(text, width)
    golden(f"fit-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_cache(golden, width, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):
        time.tzset()

    def kept(i, machine, version=__version__, **more):
        asked = {
            "machine": machine,
            "objective": "energy",
            "gap": 0.0,
            "factors": "any",
            "version": version,
            "algorithm": algorithm(),
        }
        return Kept(
            key=f"{i:064x}",
            size_bytes=1000 * (i + 1),
            written_s=1.7e9 + i,
            asked=asked | more,
            found={"status": "PROVED"},
        )

    entries = [
        kept(3, "eyeriss-v1"), kept(2, "eyeriss-v1"), kept(1, "a-machine-of-ones-own", objective="edp", gap=0.01),
        kept(0, "eyeriss-v1", version="0.0.1"), Kept(key="f" * 64, size_bytes=10, written_s=1.7e9, asked=None, found=None),
    ]  # fmt: skip
    text = cache_text(entries, Path("/home/someone/.cache/picojoule"), width=width, color=False)
    fits(text, width)
    golden(f"cache-{width}", text)
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


TABLES_OF_VERBS = {
    "bundle_text", "cache_text", "compression_text", "device_fit_text", "diagnosis_text", "measurement_text", "run_text",
}  # fmt: skip
"""Of modules that load more than reporting itself may."""


def test_every_table_has_a_golden_file():
    """Each function that prints a table is called here or beside this file, at both widths."""
    tables = {name for name in reporting.__all__ if name.endswith("_text")} | TABLES_OF_VERBS
    code = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")}
    called = set(re.findall(r"\b(\w+_text)\(", "".join(code.values())))
    assert tables <= called, f"without a golden file: {sorted(tables - called)}"
    goldens = {path.stem for path in Path(__file__).parent.glob("*.txt")}
    narrow = {stem.removesuffix("-80") for stem in goldens if stem.endswith("-80")}
    wide = {stem.removesuffix("-140") for stem in goldens if stem.endswith("-140")}
    assert narrow <= wide
    assert {stem for stem in wide - narrow if "colours" not in stem} == set()
