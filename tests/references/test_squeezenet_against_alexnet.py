"""Fewer weights are not less energy: SqueezeNet 1.0 against AlexNet on the normalised Eyeriss, dense, by the tensor that moves.

The statement is Sze's ("Designing hardware for machine learning", after Yang et al., CVPR 2017), of batches of 48; the figures are
ours. At batch 1 the order is the other way round: AlexNet then fetches its 61 million weights for one image.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path

import pytest

from picojoule import Exact, estimate
from picojoule.result import Estimate
from picojoule.workload.builtin import builtin_names

HARDWARE = "eyeriss-normalized"
CHART = Path(__file__).parents[2] / "docs" / "figures" / "energy-against-weights.csv"
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "fewer-weights.md"
PARTS = ("weights", "inputs", "outputs", "none")

# In 10⁹ MACs of 16 bits and an inference: measured once, held to 0.1 %.
MEASURED = {
    ("alexnet", 48): {"weights": 1.183, "inputs": 1.069, "outputs": 1.779, "none": 0.7244},
    ("squeezenet1.0", 48): {"weights": 0.9896, "inputs": 2.621, "outputs": 3.300, "none": 0.8327},
    ("alexnet", 1): {"weights": 13.004, "inputs": 1.030, "outputs": 1.730, "none": 0.7244},
    ("squeezenet1.0", 1): {"weights": 1.083, "inputs": 2.612, "outputs": 3.300, "none": 0.8327},
}


@cache
def result(name: str, batch: int) -> Estimate:
    return estimate(
        name, hardware=HARDWARE, batch=batch, search=Exact(time_limit_s=None, factors="exact"), cache=False
    )


def spent(name: str, batch: int) -> dict[str, float]:
    """Energy of an inference by the tensor that moves, in 10⁹ MACs; ``none`` is arithmetic."""
    accesses = [access for layer in result(name, batch).layers for access in layer.by]
    return {
        part: math.fsum(a.energy_pj for a in accesses if a.tensor == part) / batch / 1e9 for part in PARTS
    }


def test_fewer_weights_more_energy_at_batch_48() -> None:
    squeezenet, alexnet = result("squeezenet1.0", 48), result("alexnet", 48)
    assert squeezenet.status == alexnet.status == "PROVED"
    assert alexnet.params / squeezenet.params == pytest.approx(48.8, abs=0.1)
    assert squeezenet.energy_pj / alexnet.energy_pj == pytest.approx(1.628, rel=1e-3)


def test_at_batch_1_it_is_the_other_way_round() -> None:
    squeezenet, alexnet = result("squeezenet1.0", 1), result("alexnet", 1)
    assert squeezenet.status == alexnet.status == "PROVED"
    assert squeezenet.energy_pj / alexnet.energy_pj == pytest.approx(0.4747, rel=1e-3)


@pytest.mark.parametrize(("name", "batch"), MEASURED)
def test_where_the_energy_goes(name: str, batch: int) -> None:
    assert spent(name, batch) == pytest.approx(MEASURED[name, batch], rel=1e-3)


def test_what_turns_the_order_round() -> None:
    """Weights alone: everything else costs an inference much the same in both batches, as the page says."""
    for name, most in (("alexnet", 0.04), ("squeezenet1.0", 0.005)):
        one, many = spent(name, 1), spent(name, 48)
        for part in ("inputs", "outputs", "none"):
            assert one[part] == pytest.approx(many[part], rel=most)
    assert spent("alexnet", 1)["weights"] > 10 * spent("alexnet", 48)["weights"]


# The chart: docs/figures/energy_against_weights.py.


def charted() -> list[dict[str, str]]:
    with CHART.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_built_in_network_is_on_the_chart() -> None:
    rows = charted()
    assert {(row["network"], row["batch"]) for row in rows} == {(n, b) for n in builtin_names() for b in ("1", "48")}
    assert {row["status"] for row in rows} == {"PROVED"}
    svg = CHART.with_suffix(".svg").read_text(encoding="utf-8")
    assert all(f">{name}<" in svg for name in builtin_names() if ":" not in name)


@pytest.mark.parametrize(
    ("name", "batch"), [*MEASURED, ("resnet18", 1), ("mobilenet_v1:0.25-128", 1), ("merkel:L3", 48), ("mlp0", 48)]
)
def test_points_of_the_chart_are_what_estimate_says(name: str, batch: int) -> None:
    (row,) = (row for row in charted() if (row["network"], row["batch"]) == (name, str(batch)))
    ours = result(name, batch)
    assert int(row["weights"]) == ours.params
    assert float(row["energy_mac16"]) == pytest.approx(ours.energy_pj_per_inference, rel=1e-5)
    assert sum(float(row[f"{part}_mac16"]) for part in PARTS) == pytest.approx(float(row["energy_mac16"]), rel=1e-5)


def test_the_page_has_the_figures_of_the_chart() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in charted():
        if (row["network"], int(row["batch"])) in MEASURED:
            cells = [float(row[f"{part}_mac16"]) / 1e9 for part in PARTS] + [float(row["energy_mac16"]) / 1e9]
            label = f"| {row['network']} | {row['batch']} | "
            assert label + " | ".join(f"{cell:.2f}" for cell in cells) + " |" in page


def test_the_page_s_commands_ask_for_what_the_page_shows() -> None:
    """Exact factors to the end, without a limit that the clock sets: as ``result`` does."""
    commands = [line.removeprefix("$ ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("$ picojoule estimate ")]
    assert [line.split()[2] for line in commands] == ["squeezenet1.0", "alexnet"]
    for line in commands:
        assert f"--hardware {HARDWARE} --batch 48 --factors exact --time-limit none" in line
