"""How a layer's energy divides among the places of a machine: short names, and bars in their colours."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from picojoule.result import Estimate, LayerEstimate

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def by_place(layer: LayerEstimate) -> dict[str, float]:
    """Energy of a layer at every level, and in ``mac`` and ``vector``."""
    parts: dict[str, list[float]] = {}
    for access in layer.by:
        parts.setdefault(access.level, []).append(access.energy_pj)
    return {level: math.fsum(energies) for level, energies in parts.items()}


def groups(estimate: Estimate, fold: int = 0) -> dict[str, tuple[str, ...]]:
    """The places that get a column each: short name → the levels it stands for, outermost first.

    Args:
        estimate: the result.
        fold: so many of the places that matter least are put together as ``other``; 0 for none.
    """
    totals = estimate.by_level()
    names = short_names(tuple(totals))
    folded = set(sorted(totals, key=lambda level: totals[level])[:fold])
    columns = {names[level]: (level,) for level in totals if level not in folded}
    rest = next(name for name in ("other", "rest", "others") if name not in columns)
    return columns | ({rest: tuple(level for level in totals if level in folded)} if folded else {})


def short_names(levels: Sequence[str], longest: int = 7) -> dict[str, str]:
    """A name of at most ``longest`` characters for every level, distinct.

    A word that several levels have in common is dropped (``ifmap_spad``, ``psum_spad`` → ``ifmap``, ``psum``); of
    other names of several words the last is kept (``shared_glb`` → ``glb``).

    >>> short_names(["DRAM", "shared_glb", "ifmap_spad", "psum_spad", "mac"])
    {'DRAM': 'DRAM', 'shared_glb': 'glb', 'ifmap_spad': 'ifmap', 'psum_spad': 'psum', 'mac': 'mac'}
    """
    words = {level: re.split(r"[\s_.\-]+", level) for level in levels}
    everywhere = [word for parts in words.values() for word in set(parts)]
    short: dict[str, str] = {}
    for level, parts in words.items():
        own = [word for word in parts if everywhere.count(word) == 1]
        if len(parts) == 1:
            name = level
        elif len(own) == len(parts):
            name = parts[-1]
        else:
            name = " ".join(own) or level
        taken = set(short.values()) | (set(levels) - {level})
        candidates = [name, level, *(f"{level[: longest - 2]}~{i}" for i in range(1, 10 + len(levels)))]
        short[level] = next(c[:longest] for c in candidates if c[:longest] not in taken)
    return short


def bar(
    parts: Mapping[str, float], largest: float, width: int, colour: Mapping[str, str], order: Iterable[str]
) -> Text:
    """A bar as long as the parts together are of ``largest``, each part in its colour; it fills ``width`` at most."""
    whole = math.fsum(parts.values())
    eighths = round(8 * width * whole / largest) if largest > 0 else 0
    text = Text()
    if eighths == 0:
        return text
    ends, reached = [], 0.0
    for place in order:
        if place in parts:
            reached += parts[place] / whole * eighths
            ends.append((reached, place))
    blocks = [min(8, eighths - start) for start in range(0, eighths, 8)]
    places = [
        next((name for end, name in ends if 8 * i + block / 2 <= end), ends[-1][1]) for i, block in enumerate(blocks)
    ]
    for place, run in itertools.groupby(zip(places, blocks, strict=True), key=lambda pair: pair[0]):
        text.append("".join(_EIGHTHS[block] for _, block in run), style=colour.get(place, ""))
    return text
