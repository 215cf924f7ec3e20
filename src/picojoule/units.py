"""Quantities at the edges: parse what people write, format what they read.

Inside picojoule everything is in picojoule, cycle, bit and MAC; these functions
are called only where text comes in or goes out.
"""

from __future__ import annotations

import math
import re

from picojoule.errors import UsageError

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
