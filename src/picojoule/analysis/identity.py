"""Which results are of one machine, and which at one table's prices: by what they hold, not by what it is called."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from picojoule.result import Estimate
from picojoule.units import parse_size_bits

_PRICES = ("unit", "node_nm", "voltage_v", "table", "mac", "vector", "estimated", "extrapolate", "energy")
_WORDS = ("name", "description")
_OWN = "; from the description: "
_SAME_PRICE = 1e-9


def machine_labels(estimates: Sequence[Estimate]) -> list[str]:
    """A name for the machine of each result: its own; with a number where another machine bears it, too."""
    return _numbered([(str(e.hardware["name"]), design_of(e)) for e in estimates])


def design_of(estimate: Estimate) -> str:
    """What the machine of a result is, but for names and prices."""
    return json.dumps(_without(estimate.hardware, (*_WORDS, *_PRICES)), sort_keys=True)


def table_labels(estimates: Sequence[Estimate]) -> list[str]:
    """A name for the table of each result: its own; with a number where another source, unit or price bears it, too.

    Of a table a result holds the prices of its machine, no more: two tables of one name, source and unit are told apart
    where they price the same memory or a multiplication differently.
    """
    variants: list[_Variant] = []
    found: list[tuple[str, Hashable]] = []
    for estimate in estimates:
        name, prices = str(estimate.table["name"]), dict(_prices(estimate))
        source = (str(estimate.table["source"]).partition(_OWN)[0], str(estimate.table["unit"]))
        one = next((v for v in variants if (v.name, v.source) == (name, source) and v.agrees(prices)), None)
        if one is None:
            one = _Variant(name=name, source=source)
            variants.append(one)
        one.prices.update(prices)
        found.append((name, variants.index(one)))
    return _numbered(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variant:
    """A table, as far as results show it."""

    name: str
    source: tuple[str, str]
    prices: dict[Hashable, float] = field(default_factory=dict)

    def agrees(self, prices: dict[Hashable, float]) -> bool:
        return all(math.isclose(self.prices.get(what, it), it, rel_tol=_SAME_PRICE) for what, it in prices.items())


def _prices(estimate: Estimate) -> Iterator[tuple[Hashable, float]]:
    """What the table says, as far as the machine shows it: energy of a bit by kind and size, of a MAC by width.

    A level without ``kind``, or with an energy of its own beside a table, is compared among results of its machine.
    """
    machine = estimate.hardware
    own = str(estimate.table["source"]).partition(_OWN)[2].split(", ")
    scaled = (machine.get("node_nm"), machine.get("voltage_v"))
    alone = (str(machine["name"]), design_of(estimate))
    if "mac" in machine:
        whose: Hashable = alone if "mac" in own else scaled
        for part in ("multiply", "add"):
            yield (whose, part, machine["mac"]["bits"]), float(machine["mac"][part])
    for entry in machine["hierarchy"]:
        if "energy" not in entry or entry.get("free"):
            continue
        by_table = "kind" in entry and entry["level"] not in own
        size = parse_size_bits(entry["capacity"]) if "capacity" in entry else None
        at: Hashable = (entry["kind"], size, scaled) if by_table else (entry["level"], alone)
        for what, price in _flat(entry["energy"]):
            yield (at, what), price / entry["word_bits"]


def _flat(energy: dict[str, Any], tensor: str = "") -> Iterator[tuple[tuple[str, str], float]]:
    for key, value in energy.items():
        if isinstance(value, dict):
            yield from _flat(value, key)
        else:
            yield (tensor, key), float(value)


def _without(value: Any, keys: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, keys) for key, one in value.items() if key not in keys}
    return [_without(one, keys) for one in value] if isinstance(value, list) else value


def _numbered(found: Sequence[tuple[str, Hashable]]) -> list[str]:
    """The names, the second of a name as ``name (2)``."""
    contents: dict[str, list[Hashable]] = {}
    labels = []
    for name, content in found:
        known = contents.setdefault(name, [])
        if content not in known:
            known.append(content)
        number = known.index(content) + 1
        labels.append(name if number == 1 else f"{name} ({number})")
    return labels
