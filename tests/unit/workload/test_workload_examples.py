"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["convolution", "builtin", "layer_table", "movement", "products", "transposed", "scalesim", "mit_table"]
)
def test_examples(module):
    outcome = doctest.testmod(importlib.import_module(f"picojoule.workload.{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
