"""Plain data of a machine description → the YAML that people read."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = ("name", "description", "unit", "node_nm", "area_mm2", "clock", "word_bits", "bits", "table", "mac", "vector")
# Words that YAML reads as text without quotes, however old its version.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*|\d+(?:\.\d+)? (?:words|bit|KiB)(?:/cycle)?")
_WIDTH = 120


def machine_yaml(data: Mapping[str, Any], comments: Sequence[str] = ()) -> str:
    """The description as YAML; ``describe.accelerator_from_text`` reads it back.

    Args:
        data: with the keys of a description.
        comments: lines for the top.

    Example:
        >>> print(machine_yaml({"name": "m", "hierarchy": [{"level": "DRAM", "energy": {"read": 1, "write": 1}}]}))
        name: m
        <BLANKLINE>
        hierarchy:
          - level: DRAM
            energy: 1
        <BLANKLINE>
    """
    lines = [commented for comment in comments for commented in _comment(comment)]
    for key in (*_HEAD, *(key for key in data if key not in _HEAD)):
        if key in data and key != "hierarchy":
            lines.append(f"{key}: {_inline(_brief(key, data[key]))}")
    lines += ["", "hierarchy:"]
    for i, entry in enumerate(data["hierarchy"]):
        lines += [""] * (i > 0)
        for n, (key, value) in enumerate(entry.items()):
            lines += _entry("  - " if n == 0 else "    ", key, _brief(key, value))
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    wrapped = textwrap.wrap(clean, _WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)
    return [f"# {line}" for line in wrapped] or ["#"]


def _brief(key: str, value: Any) -> Any:
    """One value in place of a table that says the same for all of its keys."""
    if isinstance(value, dict) and key in ("bits", "energy", "bandwidth"):
        alike = {json.dumps(one) for one in value.values()}
        if len(alike) == 1 and (key == "bits" or {"read", "write"} <= value.keys()):
            return next(iter(value.values()))
    return value


def _entry(indent: str, key: str, value: Any) -> list[str]:
    """A key of an entry; a table of tables takes a line for each."""
    if not isinstance(value, dict) or not value or not all(isinstance(one, dict) for one in value.values()):
        return [f"{indent}{key}: {_inline(value)}"]
    inside = " " * len(indent)
    return [f"{indent}{key}:", *(f"{inside}  {name}: {_inline(one)}" for name, one in value.items())]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _READ_OTHERWISE:
            return value
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return "null" if value is None else json.dumps(value)


_READ_OTHERWISE = ("null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf")
