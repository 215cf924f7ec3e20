"""What the line on zeros says where a machine minds them and none are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule.reporting.columns import to_text
from picojoule.reporting.honesty import honest_lines


@pytest.mark.parametrize(
    ("pad", "said"),
    [((0, 0, 0, 0), "none known, so none assumed: "), ((0, 0, 0, 1), "none known, so none assumed but the padding: ")],
)
def test_padding_is_zeros_that_nobody_has_to_know_of(pad: tuple[int, int, int, int], said: str) -> None:
    """An energy below that of a machine that minds none, and no zeros known: it is the padding that was spared."""
    base = sample_estimates.with_layer(sample_estimates.estimate(), "conv1", pad=pad)
    effect = {"raw_pj": base.energy_pj / 0.9, "dense_pj": base.energy_pj, "break_even_density": 1.0}
    text = to_text(honest_lines(replace(base, sparsity=None, zeros_effect=effect), 120), color=False)
    assert f"{said}10.0 % less energy than without minding them" in text
