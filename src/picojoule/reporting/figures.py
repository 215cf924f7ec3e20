"""Numbers as people read them. Rounding happens here and nowhere before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from picojoule.result import Estimate
from picojoule.units import LEGIBLE, scaled, significant

NONE = "–"
"""Stands for what is not modelled; what is modelled and zero prints as 0."""
THIN = "\N{THIN SPACE}"
"""Sets thousands apart."""

_JOULES = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_WATTS = ((1e3, "kW"), (1.0, "W"), (1e-3, "mW"), (1e-6, "µW"))
_BYTES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_MULTIPLES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


class Scale:
    """One unit for a whole column, chosen so that its largest figure reads well.

    Args:
        values: the figures of the column.
        steps: ``(size, unit)``, largest first.
        digits: significant digits of the largest figure; it has one decimal at least.

    Example:
        >>> scale = Scale([91.2e6, 1.5e6], ((1e6, "µJ"), (1e3, "nJ")))
        >>> scale.unit, scale.text(1.5e6), scale.text(1e3), scale.text(0)
        ('µJ', '1.5', '<0.1', '0')
    """

    def __init__(self, values: Iterable[float | None], steps: Iterable[tuple[float, str]], digits: int = 3) -> None:
        steps = tuple(steps)
        largest = max((abs(v) for v in values if v is not None), default=0.0)
        self.size, self.unit = next((step for step in steps if largest >= step[0] * (1 - 1e-9)), steps[-1])
        whole = len(f"{largest / self.size:.0f}")
        # Below the smallest unit even the largest figure starts with zeros.
        tiny = 0 < largest < self.size
        self.places = digits + 1 if tiny else max(1, digits - whole)

    def text(self, value: float | None) -> str:
        """The figure without its unit, with as many decimals as every other of the column."""
        if value is None:
            return NONE
        if value == 0:
            return "0"
        least = 10.0**-self.places
        if 0 < value / self.size < least / 2:
            return f"<{least:.{self.places}f}"
        return grouped(value / self.size, self.places)


def energy_scale(values: Iterable[float | None], unit: str, digits: int = 3) -> Scale:
    """A scale for energies in ``unit``: picojoules climb to nJ … J, any other unit gets k, M, G, T before it."""
    return Scale(
        values, _JOULES if unit == "pJ" else [(size, f"{prefix} {unit}".strip()) for size, prefix in _MULTIPLES], digits
    )


def layer_scale(estimate: Estimate) -> Scale:
    """The scale that suits the layer of most energy; the totals beside and below it keep its unit."""
    return energy_scale([layer.energy_pj for layer in estimate.layers], estimate.table["unit"])


def energy(value: float, unit: str) -> str:
    """An energy for a sentence, to four digits: ``875.4 µJ``, ``12.30 M mac16``."""
    scale = energy_scale([value], unit, 4)
    return f"{scale.text(value)} {scale.unit}"


def watts(value: float) -> str:
    """A power for a sentence, to four digits: ``17.75 W``, ``3.210 mW``."""
    scale = Scale([value], _WATTS, 4)
    return f"{scale.text(value)} {scale.unit}"


def time_scale(seconds: Iterable[float | None]) -> Scale:
    """A scale for times in seconds."""
    return Scale(seconds, _SECONDS)


def size_scale(sizes: Iterable[float | None]) -> Scale:
    """A scale for sizes in bytes."""
    return Scale(sizes, _BYTES)


def grouped(value: float, places: int = 0) -> str:
    """A number with so many decimals, thousands set apart by a thin space; with an exponent where it is too long to read."""
    if abs(value) >= LEGIBLE[1]:
        return f"{value:.3e}"
    return f"{value:,.{places}f}".replace(",", THIN)


def counted(value: float | None, digits: int = 3) -> str:
    """A count in thousands, millions and so on: ``116 M``."""
    if value is None:
        return NONE
    if abs(value) < 1000 and value == int(value):
        return str(int(value))
    number, prefix = scaled(value, digits)
    return f"{number} {prefix}".rstrip()


def aligned(value: float | None) -> str:
    """A count for a column that is aligned right: the digits line up whether a prefix follows or not."""
    text = counted(value)
    return text if text[-1:].isalpha() else f"{text}  "


def share(part: float, whole: float) -> str:
    """A share for a narrow column: ``31%``; ``<1%`` for what would round to none of it."""
    if part == 0 or whole == 0:
        return "0"
    percent = 100 * part / whole
    return "<1%" if percent < 0.5 else f"{percent:.0f}%"


def percent(fraction: float) -> str:
    """A fraction for a sentence: ``99.7 %``. What is not all never reads 100 %, what is not none never 0 %."""
    if fraction in (0, 1):
        return f"{fraction * 100:.0f} %"
    if fraction < 0.0005:
        return "<0.1 %"
    if 0.9995 <= fraction < 1:
        return ">99.9 %"
    return f"{fraction * 100:.1f} %"


def at_most(fraction: float) -> str:
    """A fraction rounded up, for what is a limit: ``0.7 %``."""
    return f"{math.ceil(fraction * 1000 - 1e-9) / 10:.1f} %"


def times(value: float, least: float) -> str:
    """How many times the least a value is: ``1.25×``; an em-dash where there is no least."""
    return f"{significant(value / least, 3)}×" if least > 0 else NONE


def size(bits: int) -> str:
    """A memory size: ``108 KiB``, ``12 B``."""
    for factor, unit in ((2**33, "GiB"), (2**23, "MiB"), (2**13, "KiB"), (8, "B")):
        if bits >= factor:
            return f"{bits / factor:.4g} {unit}"
    return f"{bits} bit"


def printable(text: str) -> str:
    """Text with what could steer a terminal replaced; our thin spaces stay."""
    return "".join(c if c.isprintable() or c == THIN else "\N{REPLACEMENT CHARACTER}" for c in text)


def shortened(text: str, width: int) -> str:
    """Text in at most ``width`` characters, an ellipsis in its middle: both ends of a layer's name matter."""
    if len(text) <= width:
        return text
    tail = (width - 1) * 3 // 5
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def listing(entries: Iterable[tuple[str, int]], say: Callable[[str], str] = printable) -> str:
    """Names with how often each occurs: ``add ×8, maxpool ×1``."""
    return ", ".join(f"{say(name)} ×{count}" for name, count in entries)
