"""How large the layers of a table may be, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping

SIZE_LIMIT = 2**31
MACS_LIMIT = 2**62
WINDOW_LIMIT = 2**22
"""Most outputs × taps along one axis: what is touched there is listed index by index."""
TEXT_LIMIT = 500


def too_large(sizes: Mapping[str, int]) -> tuple[str, str] | None:
    """What is wrong with the sizes of a nest, by loop letter, and what to do; None if they can be worked with."""
    macs = 1
    for size in sizes.values():
        macs *= size
    if macs > MACS_LIMIT:
        return f"{macs} MACs are more than 2^62", "Check the sizes."
    for outputs, taps in (("P", "R"), ("Q", "S")):
        steps = sizes.get(outputs, 1) * sizes.get(taps, 1)
        if steps > WINDOW_LIMIT:
            return (
                f"{outputs} × {taps} is {steps}, at most {WINDOW_LIMIT} is allowed",
                "The rows of a matrix product belong on N, not on P or Q.",
            )
    return None
