"""The examples in the docstrings of the exits room run."""

from __future__ import annotations

import doctest

import pytest

from picojoule.exits import (
    answers,
    choice,
    choice_model,
    confidence,
    cost,
    deciding,
    decision_files,
    energies,
    fits,
    front,
    guarantee,
    macs,
    rule,
)


@pytest.mark.parametrize("module", 
    [choice, choice_model, confidence, cost, deciding, decision_files, energies, fits, front, guarantee, macs, rule],
    ids=lambda module: module.__name__)
def test_examples_of_a_module(module):
    import numpy as np

    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted and not found.failed


def test_examples_of_answers():
    import numpy as np

    finder = doctest.DocTestFinder().find(answers, globs={"answers": answers, "np": np})
    results = [doctest.DocTestRunner().run(test) for test in finder]
    assert sum(r.attempted for r in results) and not any(r.failed for r in results)
