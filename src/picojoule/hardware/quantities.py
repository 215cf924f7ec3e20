"""Quantities of a machine description: clocks, sizes of memories, bandwidths."""

from __future__ import annotations

import math
import re

from picojoule.errors import HardwareError, UsageError, nearest
from picojoule.hardware.schema import short
from picojoule.units import parse_size_bits

MAX_CAPACITY_BITS = 2**50

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*")
_HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
_CYCLES = re.compile(r"([1-9]\d{0,8}) cycles")
# Rates are decimal, as data sheets give them; memory sizes are not (``units.parse_size_bits``).
_RATE_BITS = {
    "bit": 1.0, "bits": 1.0, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9,
    "B": 8.0, "byte": 8.0, "bytes": 8.0, "kB": 8e3, "MB": 8e6, "GB": 8e9,
}  # fmt: skip
_CAPACITY_HINT = (
    'Write a number and a unit: "108 KiB", "512 B", "96 bit" or "224 words"; leave the key out for unlimited.'
)
_BANDWIDTH_HINT = (
    'Write "256 bit/cycle", "16 words/cycle", "1 word/256 cycles" or, with a clock, "12.8 GB/s"; '
    "leave the key out for unlimited."
)


def _quantity(text: str) -> tuple[float, str] | None:
    match = _QUANTITY.fullmatch(text)
    return (float(match[1]), match[2] or "") if match else None


def parse_hertz(text: str, where: str) -> float:
    """``"200 MHz"`` in hertz.

    Raises:
        HardwareError: no frequency, or none above 0.
    """
    quantity = _quantity(text)
    if quantity is None or quantity[1] not in _HERTZ:
        hint = (
            nearest(quantity[1], _HERTZ)
            if quantity and quantity[1]
            else 'Write a number and a unit, such as "200 MHz".'
        )
        raise HardwareError(f"{short(text)} is not a frequency", where=where, hint=hint)
    hertz = quantity[0] * _HERTZ[quantity[1]]
    if not 0 < hertz < math.inf:
        raise HardwareError(f"a clock must be more than 0 Hz, got {short(text)}", where=where)
    return hertz


def parse_capacity_bits(value: object, word_bits: int, where: str) -> int:
    """``"108 KiB"`` or ``"224 words"`` in bits.

    Raises:
        HardwareError: no size, no unit, part of a word, or more than 128 TiB.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        fault = f"{value} has no unit" if 0 < value < math.inf else f"a capacity must be more than 0, got {value}"
        raise HardwareError(fault, where=where, hint=_CAPACITY_HINT)
    quantity = _quantity(value) if isinstance(value, str) else None
    if quantity is None:
        raise HardwareError(f"{short(value)} is not a memory size", where=where, hint=_CAPACITY_HINT)
    if quantity[1] in ("word", "words"):
        bits = quantity[0] * word_bits
        whole = math.isfinite(bits) and quantity[0] == int(quantity[0])
    else:
        try:
            bits, whole = parse_size_bits(str(value)), True
        except UsageError as error:
            raise HardwareError(error.message, where=where, hint=_CAPACITY_HINT) from None
    if not whole or not 0 < bits <= MAX_CAPACITY_BITS:
        rule = "more than 0 and at most 128 TiB" if whole else "a whole number of words"
        raise HardwareError(f"a capacity must be {rule}, got {short(value)}", where=where, hint=_CAPACITY_HINT)
    return int(bits)


def parse_bits_per_cycle(text: str, word_bits: int, clock_hz: float | None, ticks: float, where: str) -> float:
    """``"16 words/cycle"``, ``"1 word/256 cycles"`` or ``"12.8 GB/s"`` in bits per cycle of the machine.

    Args:
        text: what the description says.
        word_bits: of a word.
        clock_hz: of the machine.
        ticks: cycles of the port in a cycle of the machine.
        where: names the field in errors.

    Raises:
        HardwareError: no bandwidth, none above 0, or one per second without a clock.
    """
    quantity = _quantity(text)
    amount, _, period = (part.strip() for part in (quantity[1] if quantity else "").partition("/"))
    several = _CYCLES.fullmatch(period)
    sizes = {**_RATE_BITS, "word": float(word_bits), "words": float(word_bits)}
    if quantity is None or amount not in sizes or not (several or period in ("cycle", "s")):
        raise HardwareError(f"{short(text)} is not a bandwidth", where=where, hint=_BANDWIDTH_HINT)
    rate = quantity[0] * sizes[amount] / (int(several[1]) if several else 1)
    if period == "s":
        if clock_hz is None:
            hint = 'Add clock: "200 MHz" at the top, or give the bandwidth per cycle.'
            raise HardwareError(f"{short(text)} is per second, and the machine has no clock", where=where, hint=hint)
        return _positive(rate / clock_hz, text, where)
    return _positive(rate * ticks, text, where)


def _positive(rate: float, text: str, where: str) -> float:
    if not 0 < rate < math.inf:
        raise HardwareError(f"a bandwidth must be more than 0, got {short(text)}", where=where, hint=_BANDWIDTH_HINT)
    return rate
