"""Quantities at the edges: parse what people write, format what they read.

Inside picojoule everything is in picojoule, cycle, bit and MAC; these functions
are called only where text comes in or goes out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from picojoule.errors import UsageError, nearest

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s].*)?\s*$")
_SIZE_BITS = {
    "b": 1,
    "bit": 1,
    "bits": 1,
    "kbit": 1000,
    "kibit": 1024,
    "mbit": 10**6,
    "mibit": 2**20,
    "B": 8,
    "byte": 8,
    "bytes": 8,
    "kB": 8 * 1024,
    "KB": 8 * 1024,
    "KiB": 8 * 1024,
    "kiB": 8 * 1024,
    "MB": 8 * 2**20,
    "MiB": 8 * 2**20,
    "GB": 8 * 2**30,
    "GiB": 8 * 2**30,
}
ENERGIES_PJ = {"pJ": 1.0, "nJ": 1e3, "µJ": 1e6, "uJ": 1e6, "mJ": 1e9, "J": 1e12}
TIMES_S = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
POWERS_W = {"µW": 1e-6, "uW": 1e-6, "mW": 1e-3, "W": 1.0, "kW": 1e3}
AREAS_MM2 = {"µm²": 1e-6, "um2": 1e-6, "mm²": 1.0, "mm2": 1.0, "cm²": 100.0, "cm2": 100.0}
RATES_PER_S = {"/s": 1.0, "fps": 1.0, "inf/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
BYTES = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
"""Traffic and files in bytes: kB is decimal, as datasheets give it; in sizes of memories it is not (``parse_size_bits``)."""
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def parse_size_bits(text: str | int) -> int:
    """Bits in a memory size such as ``"108 KiB"``; in memory sizes kB is 1024 bytes, as the field uses it.

    Raises:
        UsageError: not a size, or not a whole number of bits.
    """
    match = _NUMBER.match(str(text))
    unit = (match.group(2) or "").strip() if match else ""
    if not match or unit not in _SIZE_BITS:
        raise UsageError(
            f"{text!r} is not a memory size", hint='Write a number and a unit, such as "108 KiB", "512 B" or "96 bit".'
        )
    bits = float(match.group(1)) * _SIZE_BITS[unit]
    if not math.isfinite(bits) or bits != int(bits):
        raise UsageError(f"{text!r} is not a whole number of bits")
    return int(bits)


def parse_fraction(text: str | float) -> float:
    """A fraction in [0, 1) from ``"1%"`` or ``"0.01"``.

    Raises:
        UsageError: not a number, or outside [0, 1).
    """
    match = _NUMBER.match(str(text))
    unit = (match.group(2) or "").strip() if match else ""
    if not match or unit not in ("", "%"):
        raise UsageError(f"{text!r} is not a fraction", hint='Write "1%" or "0.01".')
    value = float(match.group(1)) / (100 if unit == "%" else 1)
    if not 0 <= value < 1:
        raise UsageError(f"{text!r} is not at least 0 and below 1 (100%)", hint='Write "1%" or "0.01".')
    return value


def parse_seconds(text: str | float) -> float:
    """Seconds from ``"5s"``, ``"200ms"``, ``"2min"`` or a bare number of seconds.

    Raises:
        UsageError: not a duration, or not positive.
    """
    match = _NUMBER.match(str(text))
    factor = {"": 1.0, "s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}.get(
        (match.group(2) or "").strip() if match else "?"
    )
    if not match or factor is None:
        raise UsageError(f"{text!r} is not a duration", hint='Write "5s", "200ms" or "2min".')
    value = float(match.group(1)) * factor
    if not value > 0 or not math.isfinite(value):
        raise UsageError(f"{text!r} is not a positive duration", hint='Write "5s", "200ms" or "2min".')
    return value


def parse_joules(text: str | float) -> float:
    """Joules in an energy such as ``"80 uJ"``; a bare number is joules.

    Raises:
        UsageError: not an energy above 0.

    >>> f"{parse_joules('80uJ'):.3g}"
    '8e-05'
    """
    return parse_quantity(text, {"": 1e12, **ENERGIES_PJ}, "an energy", '"80 uJ"') * 1e-12


def parse_quantity(text: str | float, units: Mapping[str, float], what: str, example: str) -> float:
    """A number that is above 0, in the base of ``units``.

    Args:
        text: a number and a unit, such as ``"5 mJ"``.
        units: how many of the base each unit is, as ``ENERGIES_PJ``.
        what: the kind of quantity, for messages: ``"an energy"``.
        example: how to write one.

    Raises:
        UsageError: no number, no unit or an unknown one (the hint names the nearest), or nothing above 0.

    >>> parse_quantity("5 mJ", ENERGIES_PJ, "an energy", "5 mJ")
    5000000000.0
    """
    written = str(text).replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    match = _NUMBER.match(written)
    if not match:
        raise UsageError(f"{text!r} is not {what}", hint=f'Write a number and a unit, such as "{example}".')
    unit = (match.group(2) or "").strip()
    if not unit:
        raise UsageError(f"{text!r} has no unit", hint=f'Write a number and a unit, such as "{example}".')
    if unit not in units:
        raise UsageError(f"{text!r} is not {what}: unknown unit {unit!r}", hint=nearest_unit(unit, units))
    value = float(match.group(1)) * units[unit]
    if not 0 < value < math.inf:
        raise UsageError(f"{what} must be more than 0, got {text!r}", hint=f'Write one such as "{example}".')
    return value


def nearest_unit(unit: str, units: Collection[str]) -> str:
    """A sentence that names the nearest unit and what is allowed.

    Units differ in little but their capitals: one that is the same but for those is the nearest.
    """
    alike = next((known for known in units if known.casefold() == unit.casefold()), None)
    return f"Did you mean {alike!r}? Allowed: {', '.join(units)}." if alike else nearest(unit, units)


def parse_share(text: str | float) -> float:
    """A share from 0 to 1, both included, from ``"90%"`` or ``"0.9"``.

    Raises:
        UsageError: not a number, or outside.
    """
    match = _NUMBER.match(str(text))
    unit = (match.group(2) or "").strip() if match else ""
    if not match or unit not in ("", "%"):
        raise UsageError(f"{text!r} is not a share", hint='Write "0.9" or "90%".')
    value = float(match.group(1)) / (100 if unit == "%" else 1)
    if not 0 <= value <= 1:
        raise UsageError(f"a share is from 0 to 1 (100%), got {text!r}", hint='Write "0.9" or "90%".')
    return value


def scaled(value: float, digits: int = 3) -> tuple[str, str]:
    """``(number, prefix)`` such that number × prefix is value to so many significant digits: 1.23e9 → ("1.23", "G")."""
    if value == 0:
        return "0", ""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * (1 - 0.5 * 10.0**-digits):
            return significant(value / factor, digits), prefix
    return significant(value, digits), ""


LEGIBLE = 1e-9, 1e15
"""Outside of these, numbers are written with an exponent."""


def significant(value: float, digits: int = 3) -> str:
    """Value with so many significant digits, thousands set apart by a thin space; in exponent form only where nobody would
    count the digits."""
    if value == 0:
        return "0"
    if not LEGIBLE[0] <= abs(value) < LEGIBLE[1]:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if round(abs(value), places) >= 10 ** (math.floor(math.log10(abs(value))) + 1):
        places = max(0, places - 1)
    return f"{value:,.{places}f}".replace(",", "\u2009")


def energy_text(value: float, unit: str, digits: int = 4) -> str:
    """An energy in readable units: picojoules climb to nJ, µJ, mJ, J; a relative unit gets k, M, G before it."""
    if unit != "pJ":
        number, prefix = scaled(value, digits)
        return f"{number} {prefix}{unit}"
    for factor, name in ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if abs(value) >= factor:
            return f"{significant(value / factor, digits)} {name}"
    return f"{significant(value, digits)} pJ"
