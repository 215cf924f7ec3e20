"""The examples in the docstrings of bundles and sessions run."""

from __future__ import annotations

import doctest

import pytest

from picojoule.runtime import bundle, session, session_latency, session_policy


@pytest.mark.parametrize("module", [bundle, session, session_latency, session_policy], ids=lambda module: module.__name__)
def test_examples_of_a_module(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
