"""An estimate for what goes on with its figures: after Ctrl-C there is none."""

from __future__ import annotations

from typing import Any

from picojoule.estimation import estimate
from picojoule.result import Estimate


def estimate_uninterrupted(model: Any, example_input: Any = None, **options: Any) -> Estimate:
    """``estimate``, with its arguments; but a search that Ctrl-C cut short is no result to choose by.

    Raises:
        KeyboardInterrupt: the search was interrupted; ``estimate`` would hand over the mappings found until then.
    """
    result = estimate(model, example_input, **options)
    if any(layer.status == "INTERRUPTED" for layer in result.layers):
        raise KeyboardInterrupt
    return result
