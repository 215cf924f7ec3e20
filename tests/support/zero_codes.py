"""Codes for zeros written out literally: what an encoder of real hardware would emit for one stretch of elements."""

from __future__ import annotations

from collections.abc import Iterable


def run_length_entries(elements: Iterable[float], index_bits: int) -> int:
    """Entries of a run-length code or of a compressed column: (zeros before it, element), at most 2^b − 1 zeros."""
    longest, run, entries = 2**index_bits - 1, 0, 0
    for element in elements:
        if element == 0 and run < longest:
            run += 1
        else:
            entries, run = entries + 1, 0
    return entries + (run > 0)


def bitmap_bits(elements: Iterable[float], width: int) -> int:
    """A bit for each element, and the nonzeros."""
    listed = list(elements)
    return len(listed) + width * sum(element != 0 for element in listed)
