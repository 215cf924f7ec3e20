"""What the terminal shows, character by character, at 80 and 140 columns."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from support import sample_estimates

from picojoule import Exact, estimate
from picojoule.analysis import compare, explain
from picojoule.hardware import accelerator_to_data, catalogue_names, load_hardware
from picojoule.reporting import (
    comparison_csv,
    comparison_markdown,
    comparison_text,
    estimate_csv,
    estimate_markdown,
    estimate_text,
    explanation_csv,
    explanation_markdown,
    explanation_text,
    machine_text,
    machines_text,
    network_csv,
    network_markdown,
    network_text,
    networks_text,
    verification_text,
)
from picojoule.verification import Check, Verification
from picojoule.workload import Layer, Nest, Network, builtin_names, builtin_network

WIDTHS = (80, 140)

ESTIMATES = {
    "proved": sample_estimates.estimate,
    "interrupted": sample_estimates.interrupted,
    "mac16": lambda: sample_estimates.estimate(unit="mac16"),
    "clocked": lambda: sample_estimates.estimate(clock_hz=2e8),
    "latency": lambda: replace(
        sample_estimates.estimate(), objective="latency", value=6e6, bound=5e6, floor=4e6, gap=1 / 6, batch=4
    ),
}

VERIFICATION = Verification(
    ok=False,
    checks=(
        Check(name="sums", where="", ok=True, message="the layers add up"),
        Check(name="counts", where="conv1", ok=True, message="18 counts"),
        Check(name="counts", where="fc", ok=False, message="DRAM weights: reads is 12, re-derived 13"),
    ),
)


def fits(text: str, width: int) -> None:
    """No line is wider than the terminal, and none ends in blanks."""
    for line in text.splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip(), repr(line)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ESTIMATES)
def test_an_estimate(golden, name, width):
    text = estimate_text(ESTIMATES[name](), width=width, color=False)
    fits(text, width)
    golden(f"estimate-{name}-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_an_estimate_in_full(golden, width):
    text = estimate_text(
        sample_estimates.estimate(), width=width, color=False, all_layers=True, sort="order", detail=True
    )
    fits(text, width)
    golden(f"estimate-all-{width}", text)


def test_an_estimate_in_colours(golden):
    golden(
        "estimate-colours-140", estimate_text(sample_estimates.estimate(), width=140, color=True).replace("\x1b", "ESC")
    )


def test_markdown_and_csv(golden):
    golden("estimate-markdown", estimate_markdown(sample_estimates.estimate()))
    golden("estimate-csv", estimate_csv(sample_estimates.estimate()))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_verification(golden, width):
    golden(f"verification-{width}", verification_text(VERIFICATION, "toynet.toy-eyeriss.json", color=False))


def comparison(*, flipped: bool):
    """Two machines under two tables, the second in relative units."""
    results = []
    for machine, table, unit, factor in (
        ("toy-eyeriss", "toy-65nm", "pJ", 1.0),
        ("toy-simba", "toy-65nm", "pJ", 1.25),
        ("toy-eyeriss", "toy-normalized", "mac16", 0.5),
        ("toy-simba", "toy-normalized", "mac16", 0.25 if flipped else 0.75),
    ):
        base = sample_estimates.estimate(unit=unit)
        results.append(
            replace(
                base,
                hardware={**base.hardware, "name": machine},
                table={**base.table, "name": table},
                energy_pj=base.energy_pj * factor,
                bits={**base.bits, "psums": 16 if factor == 1 else 24},
            )
        )
    return compare(results)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("flipped", [False, True])
def test_a_comparison(golden, width, flipped):
    text = comparison_text(comparison(flipped=flipped), width=width, color=False)
    fits(text, width)
    golden(f"comparison-{'flipped' if flipped else 'survives'}-{width}", text)


def test_a_comparison_in_other_forms(golden):
    golden("comparison-markdown", comparison_markdown(comparison(flipped=True)))
    golden("comparison-csv", comparison_csv(comparison(flipped=True)))


@pytest.fixture(scope="module")
def explanation():
    """A convolution that fits nothing well, and a layer that waits for its weights."""
    layers = (
        Layer(name="conv1", kind="conv", nest=Nest(K=96, C=3, P=55, Q=55, R=11, S=11, stride=(4, 4))),
        Layer(name="fc6", kind="fc", nest=Nest(K=4096, C=9216)),
    )
    search = Exact(time_limit_s=None, factors="exact")
    return explain(estimate(Network(name="toynet", layers=layers), hardware="tpu-v1", search=search), search=search)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("detail", [False, True])
def test_an_explanation(golden, width, detail, explanation):
    text = explanation_text(explanation, width=width, color=False, detail=detail)
    fits(text, width)
    golden(f"explanation-{'detail' if detail else 'layers'}-{width}", text)


def test_an_explanation_in_other_forms(golden, explanation):
    golden("explanation-markdown", explanation_markdown(explanation))
    golden("explanation-csv", explanation_csv(explanation))


@pytest.mark.parametrize("width", WIDTHS)
def test_machines(golden, width):
    machines = [accelerator_to_data(load_hardware(name)) for name in catalogue_names()]
    listed = machines_text(machines, width=width, color=False)
    shown = [
        machine_text(accelerator_to_data(load_hardware(name)), width=width, color=False)
        for name in ("eyeriss-like-45nm", "dpu-v2:B1152", "tpu-v1", "simba-package")
    ]
    fits(listed, width)
    golden(f"machines-{width}", "\n".join([listed, *shown]))


@pytest.mark.parametrize("width", WIDTHS)
def test_networks(golden, width):
    networks = {name: builtin_network(name) for name in builtin_names() if name.startswith(("alexnet", "mobilenet_v1"))}
    listed = networks_text(networks, width=width, color=False)
    fits(listed, width)
    golden(f"networks-{width}", listed + "\n" + network_text(networks["alexnet"], width=width, color=False))


@pytest.mark.parametrize("width", WIDTHS)
def test_an_estimate_by_memory(golden, width):
    text = estimate_text(sample_estimates.estimate(), width=width, color=False, sort="memory")
    fits(text, width)
    golden(f"estimate-memory-{width}", text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["lstm0", "deeplabv3_mobilenet_v2", "llm:1b-decode"])
def test_a_network(golden, width, name):
    network = builtin_network(name)
    text = network_text(replace(network, layers=network.layers[:30], flow=None), width=width, color=False)
    fits(text, width)
    golden(f"network-{name.replace(':', '-')}-{width}", text)


def test_a_network_in_other_forms(golden):
    network = replace(builtin_network("lstm0"), layers=builtin_network("lstm0").layers[:8], flow=None)
    golden("network-markdown", network_markdown(network))
    golden("network-csv", network_csv(network))


@pytest.mark.parametrize("width", range(44, 200, 7))
def test_no_width_breaks_the_table(width):
    fits(estimate_text(sample_estimates.interrupted(), width=width, color=False, detail=True), width)


def test_a_level_has_one_colour_everywhere():
    """Heads, bars and causes of a level are drawn in the same colour, and levels in different ones."""
    text = estimate_text(sample_estimates.estimate(), width=140, color=True)
    head, first = text.splitlines()[1], text.splitlines()[2]
    colour_of = dict(re.findall(r"\x1b\[([\d;]+)m(DRAM|glb|ifmap|weights|psum|mac)\x1b", head))
    names = {name: colour for colour, name in colour_of.items()}
    assert len(names) == 6
    cause = re.search(r"\x1b\[([\d;]+)mDRAM \(weights\)", first)
    bar = re.search(r"\x1b\[([\d;]+)m█+", first)
    assert cause and bar
    assert names["DRAM"] == cause[1] == bar[1]


def test_the_golden_comparison_can_fail(golden, request):
    if request.config.getoption("--update-golden", default=False):
        pytest.skip("golden files are being written")
    right = estimate_text(sample_estimates.estimate(), width=80, color=False)
    golden("estimate-proved-80", right)
    with pytest.raises(AssertionError, match="differs"):
        golden("estimate-proved-80", right.replace("109.2", "109.3", 1))
    with pytest.raises(AssertionError, match="missing"):
        golden("no-such-file", right)
