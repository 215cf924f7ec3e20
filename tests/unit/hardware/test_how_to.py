"""The page that explains the format: its example loads, and it names every key."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from picojoule.errors import HardwareError
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Level, operand_latch
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.schema import (
    AxisEntry,
    BandwidthEntry,
    BitsEntry,
    CompressionEntry,
    EnergyEntry,
    EngineEntry,
    FanOutEntry,
    LatchEntry,
    LevelEntry,
    LevelZerosEntry,
    LinkEntry,
    MacEntry,
    MachineEntry,
    MacModeEntry,
    MacZerosEntry,
    OperandZerosEntry,
    RunAheadEntry,
    TableEntry,
    TileEntry,
    TilesEntry,
)

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "describe-your-machine.md").read_text(encoding="utf-8")


def _block(kind: str, number: int = 0) -> str:
    return re.findall(rf"^```{kind}[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


def test_the_example_is_short_and_loads(tmp_path):
    text = _block("yaml")
    assert len(text.splitlines()) < 60
    path = tmp_path / "edge-npu.yaml"
    path.write_text(text, encoding="utf-8")
    machine = load_hardware(path)
    assert machine.name == "edge-npu"
    assert machine.pes == 256
    assert machine.clock_hz == 500e6
    dram, sram, registers = machine.levels
    assert dram.capacity_bits is None
    assert dram.energy_per_bit("read", "weights") == 8.0
    assert dram.read_bits_per_cycle == 6.4e9 * 8 / 500e6
    assert (sram.keeps, sram.may_keep) == (("inputs", "outputs"), ("weights",))
    assert sram.usable_bits == 128 * 1024 * 8
    assert (sram.read_bits_per_cycle, sram.write_bits_per_cycle) == (256.0, 128.0)
    assert machine.fanout("PE").axes[1].dims == ("C", "R", "S")
    assert registers.capacity_bits == 512
    assert registers.energy_per_bit("update", "outputs") == 0.07 / 8
    assert machine.mac.at(machine.bits) == pytest.approx(0.28)


def test_the_latch_on_the_page_belongs_to_the_example():
    machine = accelerator_from_text(_block("yaml") + _block("yaml", 1), "edge-npu.yaml")
    assert machine.levels[-1] == operand_latch("operands", ("weights", "inputs"))


def test_the_rules_on_the_page_belong_to_the_example():
    text = _block("yaml")
    start = text.index("  - level: registers")
    machine = accelerator_from_text(text[:start] + _block("yaml", 2), "edge-npu.yaml")
    plain = accelerator_from_text(text, "edge-npu.yaml").level("registers")
    assert replace(machine.level("registers"), tiles=()) == plain
    assert [str(rule) for rule in machine.level("registers").tiles if rule.tensor == "weights"] == [
        "K >= 2", "K <= 8", "P = 1", "Q = 1", "R all", "S all",
    ]  # fmt: skip


def test_the_zeros_on_the_page_belong_to_the_example():
    text = _block("yaml")
    head, dram, sram = text.index("hierarchy:"), text.index("  - level: DRAM"), text.index("  - level: SRAM")
    minding = _block("yaml", 4)
    inner = minding.index("  - level: registers")
    whole = text[:head] + _block("yaml", 3) + text[head:dram] + minding[:inner] + text[sram : text.index("  - level: reg")]
    machine = accelerator_from_text(whole + minding[inner:], "edge-npu.yaml")
    plain = accelerator_from_text(text, "edge-npu.yaml")
    assert machine.minds_zeros
    assert machine.gating == ("inputs",)
    assert [rule.tensor for level in machine.levels for rule in level.zeros] == ["inputs", "outputs", "weights", "outputs"]
    unminding = tuple(replace(x, zeros=()) if isinstance(x, Level) else x for x in machine.hierarchy)
    assert unminding == plain.hierarchy


def test_the_modes_and_the_family_on_the_page_belong_to_the_example():
    text = _block("yaml").replace("mac: {bits: 8, multiply: 0.25, add: 0.03}\n", _block("yaml", 5))
    family = text.replace("x: 16\n", "x: $rows\n").replace("capacity: 256 KiB", "capacity: $memory") + _block("yaml", 6)
    machine = accelerator_from_text(family, "edge-npu.yaml")
    plain = accelerator_from_text(_block("yaml"), "edge-npu.yaml")
    assert machine.hierarchy == plain.hierarchy
    assert [mode.cycles for mode in machine.mac.modes] == [1, 2]
    small = accelerator_from_text(family, "edge-npu.yaml", "small,memory=1 MiB")
    assert small.name == "edge-npu-small-memory-1-MiB"
    assert (small.level("SRAM").capacity_bits, small.fanout("PE").size) == (2**23, 8 * 16)


@pytest.mark.parametrize(
    "table",
    [
        MachineEntry, BitsEntry, TableEntry, MacEntry, LevelEntry, LatchEntry, EnergyEntry, BandwidthEntry, FanOutEntry,
        AxisEntry, TilesEntry, TileEntry, MacZerosEntry, LevelZerosEntry, OperandZerosEntry, CompressionEntry,
        RunAheadEntry, MacModeEntry, EngineEntry, LinkEntry,
    ],
)
def test_every_key_is_on_the_page(table: type[BaseModel]):
    tables = PAGE.partition("## All keys")[2]
    missing = [key for key in table.model_fields if not re.search(rf"\b{key}\b", tables)]
    assert missing == []


def test_the_message_on_the_page_is_the_real_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("edge-npu.yaml").write_text(_block("yaml").replace("capacity: 256", "capcity: 256"), encoding="utf-8")
    with pytest.raises(HardwareError) as caught:
        load_hardware("edge-npu.yaml")
    assert str(caught.value) in PAGE


def test_the_machine_priced_by_a_table_on_the_page_loads():
    machine = accelerator_from_text(_block("yaml", 7), "edge-npu-ruled.yaml")
    assert machine.table_name == "accelergy-45nm"
    assert all(price > 0 for level in machine.levels for _, price in level.energy_per_word)
