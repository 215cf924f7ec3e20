"""Which colour stands for which place of a machine: the same one in every table, bar and list.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any of the common kinds of
colour blindness can tell apart. Yellow is left out, since it can't be read on white.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEVELS = ("#D55E00", "#E69F00", "#009E73", "#56B4E9", "#CC79A7", "#0072B2")
"""For memories, outermost first: the far and costly ones are warm, the near ones cool."""

_LINKS = ("#8C564B", "#5D4E37")
"""For the wires between memories."""

TENSOR_COLOURS = {"weights": "#5E4FA2", "inputs": "#9389CC", "outputs": "#C5BEEA", "none": "#999999"}
"""For data types, where a chart shows them in place of places: one hue, told apart by how light it is."""

_OTHERS = {"mac": "#999999", "vector": "#B8A27A", "leakage": "#777777", "other": "#777777"}

GOOD = "green"
BAD = "bold red"
ATTENTION = "bold"


def colours(hardware: Mapping[str, Any]) -> dict[str, str]:
    """The colour of every memory and link of a machine, and of ``mac``, ``vector``, ``leakage`` and ``other``.

    Args:
        hardware: the machine as plain data, as a result file holds it.

    Example:
        >>> colours({"hierarchy": [{"level": "DRAM"}, {"fanout": "PE"}, {"level": "spad"}]})["spad"]
        '#E69F00'
    """
    names = [entry.get("level", entry.get("latch")) for entry in hardware.get("hierarchy", []) if "fanout" not in entry]
    links = [entry["link"]["name"] for entry in hardware.get("hierarchy", []) if entry.get("link")]
    wires = {name: _LINKS[i % len(_LINKS)] for i, name in enumerate(dict.fromkeys(links))}
    return wires | {name: _LEVELS[i % len(_LEVELS)] for i, name in enumerate(names)} | _OTHERS
