"""Widths that the law of the MAC's energy is not known for are told beside the figure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import sample_estimates

from picojoule.reporting.columns import to_text
from picojoule.reporting.honesty import honest_lines


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        ([8, 16], ""),
        ([8, 8], "operands of 16 bit: the table's law of a MAC is for 8 bit, and goes on as it ended"),
        ([2, 8], "operands of 16 bit: the table's law of a MAC is for 2 to 8 bit"),
        (None, ""),
    ],
)
def test_operands_outside_the_law(widths: list[int] | None, said: str) -> None:
    base = sample_estimates.estimate()
    assert {layer.bits["weights"] for layer in base.layers if layer.dims} == {16}
    mac = {"bits": 8, "multiply": 1.0, "add": 0.0, **({} if widths is None else {"widths": widths})}
    text = to_text(honest_lines(replace(base, hardware={**base.hardware, "mac": mac}), 140), color=False)
    assert ("law of a MAC" in text) == bool(said)
    assert said in text
