"""Accelergy's classes of components, as kinds of memory that tables price, and as MACs whose price can be split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from picojoule.hardware.accelerator import DIRECTIONS
from picojoule.hardware.tables import load_table
from picojoule.hardware.timeloop.design import Component
from picojoule.hardware.timeloop.fields import LeftOut

KINDS = {
    "DRAM": "dram",
    "SRAM": "sram", "smartbuffer_SRAM": "sram",
    "regfile": "regfile", "smartbuffer_RF": "regfile", "reg": "regfile", "reg_storage": "regfile",
}  # fmt: skip
"""Accelergy's own classes and those of the example designs."""

INTEGER_MACS = ("intmac", "lmac")
LAW = "accelergy-45nm"
"""The table whose law prices the integer MACs of Accelergy's Aladdin plug-in."""

_DIGITS = 1e-4


def memory_kind(memory: Component, left_out: LeftOut) -> str | None:
    """``dram``, ``sram`` or ``regfile``, by the most special class that is known; None is listed."""
    kinds = [KINDS[name] for name in memory.kind if name in KINDS]
    for name in memory.kind:
        if name not in KINDS and not (kinds and name == "storage"):
            why = "an unknown class" if kinds else "an unknown class, so no table can price this memory (kind)"
            left_out.note(memory.field, f"{memory.name}, class {name}", why)
    return kinds[-1] if kinds else None


def mac_parts(mac: Component, price: float, width: int, left_out: LeftOut) -> tuple[float, float]:
    """Multiplier and adder of a MAC that costs ``price`` at ``width`` bits; how it was split is listed."""
    called = ", ".join(f"class {name}" for name in mac.kind) or "no class"
    if mac.kind and mac.kind[-1] in INTEGER_MACS:
        law = load_table(LAW).mac
        multiply, add = law.multiply * (width / law.bits) ** 2, law.add * width / law.bits
        if abs(multiply + add - price) <= _DIGITS * price:
            why = f"the table has one price; it is that of {LAW}'s law at {width} bits, whose parts are taken"
            left_out.note(mac.field, f"{mac.name}, {called}", why)
            return price - add, add
    why = "the table doesn't say which part of a MAC is the adder: all scales as a multiplier"
    left_out.note(mac.field, f"{mac.name}, {called}", why)
    return price, 0


def drop_impossible_kinds(
    levels: Mapping[str, dict[str, Any]], memories: Sequence[Component], left_out: LeftOut
) -> None:
    """Takes the kind from a memory that is cheaper per bit than a smaller one: a description of ours can't say both."""
    for memory in memories:
        larger = levels[memory.name]
        for smaller in levels.values():
            if "kind" not in larger or larger["kind"] != smaller.get("kind") or _size(larger) <= _size(smaller):
                continue
            cheap = [one for one in DIRECTIONS if _per_bit(larger, one) < _per_bit(smaller, one)]
            if cheap:
                why = f"larger than {smaller['level']}, and a bit costs less ({cheap[0]}): no table prices it so"
                left_out.note(memory.field, f"{memory.name}, kind {larger.pop('kind')}", why)


def _size(level: dict[str, Any]) -> float:
    return int(level["capacity"].split()[0]) * level["word_bits"] if "capacity" in level else math.inf


def _per_bit(level: dict[str, Any], direction: str) -> float:
    return level["energy"].get(direction, level["energy"]["write"]) / level["word_bits"]
