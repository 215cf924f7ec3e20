"""What a machine's table says of latches and of rules for tiles."""

from __future__ import annotations

import pytest

from picojoule.hardware.describe import accelerator_from_text, accelerator_to_data
from picojoule.reporting import machine_text
from picojoule.reporting.headline import machine_size

TEXT = """\
name: toy
unit: pJ
word_bits: 8
bits: 8
table: {name: toy, source: invented}
mac: {bits: 8, multiply: 1, add: 0}
hierarchy:
  - level: DRAM
    keeps: [weights, inputs, outputs]
    energy: 200
  - level: GLB
    keeps: [inputs, outputs]
    energy: 6
    tiles: {inputs: {S: all}, outputs: {P: ">= 2"}}
  - fanout: PE
    axes: {x: 4}
    multicast: true
    reduction: true
  - level: spad
    keeps: [weights]
    energy: 1
    tiles:
      weights: {R: all, S: [1, all], K: "<= 16"}
  - latch: operands
    keeps: [weights, inputs]
"""


@pytest.mark.parametrize("width", [80, 140])
def test_latches_and_rules_are_shown(width: int) -> None:
    shown = machine_text(accelerator_to_data(accelerator_from_text(TEXT, "toy.yaml")), width=width, color=False)
    lines = shown.splitlines()
    row = next(line for line in lines if "operands" in line)
    assert row.split() == ["operands", "weights,", "inputs", "latch", "free"]
    start = next(i for i, line in enumerate(lines) if line.startswith(" tiles"))
    assert [line.strip() for line in lines[start : start + 2]] == [
        "tiles      GLB: inputs S all; outputs P >= 2",
        "spad: weights K <= 16, R all, S 1 and all",
    ]
    assert max(map(len, lines)) <= width


def test_axes_ports_and_clock_are_shown() -> None:
    text = TEXT.replace("word_bits: 8\n", "word_bits: 8\nclock: 1.2 GHz\narea_mm2: 3.5\n", 1)
    text = text.replace("axes: {x: 4}", "axes: {x: {size: 4, dims: [K, C]}}")
    ports = "bandwidth: {read: 32 bit/cycle, inputs: {read: 2 words/cycle}, outputs: 8 bit/cycle}"
    text = text.replace("    energy: 6\n", f"    energy: 6\n    {ports}\n")
    shown = machine_text(accelerator_to_data(accelerator_from_text(text, "toy.yaml")), width=140, color=False)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1.2 GHz · 3.5 mm² · 8 bit" in lines[0]
    assert "axes fanout" not in shown
    assert "axes PE: x K, C" in lines
    assert "ports GLB: 32.00 r; inputs 16.00 r; outputs 8.000 bit/cycle" in lines


def memory_of(*entries: dict, outermost: str = "") -> list[str]:
    dram = {"level": "DRAM", **({"capacity": outermost} if outermost else {})}
    return machine_size({"hierarchy": [dram, *entries]})[1:]


def test_the_memory_is_all_that_lies_before_the_first_array() -> None:
    buffer, weights = {"level": "GLB", "capacity": "100 KiB"}, {"level": "filters", "capacity": "8 KiB"}
    array = {"fanout": "PE", "axes": {"x": {"size": 4}}}
    spads = [{"level": "a", "capacity": "64 bit"}, {"level": "b", "capacity": "4 KiB"}, {"latch": "operands"}]
    assert memory_of(buffer, weights, array, *spads) == ["108 KiB"]
    assert memory_of(buffer, weights) == ["108 KiB"]
    assert memory_of(array, *spads, outermost="1 GiB") == ["4 KiB"]
    assert memory_of(array) == []
