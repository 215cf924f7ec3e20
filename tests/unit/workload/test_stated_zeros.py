"""Zeros that are stated for all layers alike: how they are written, where they stand, and that they verify."""

from __future__ import annotations

import pytest

import picojoule
from picojoule.errors import UsageError
from picojoule.workload.zeros import parse_zeros

EXACT = picojoule.Exact(time_limit_s=None, factors="exact")


def test_shares_by_tensor():
    assert parse_zeros(" weights = 0.3,inputs=1") == {"weights": 0.3, "inputs": 1.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("some", "'some' says no share of zeros"),
        ("weight=0.3", "Did you mean 'weights'?"),
        ("weights=30", "must be a share from 0 to 1, got '30'"),
        ("weights=nan", "must be a share from 0 to 1, got 'nan'"),
        ("weights=few", "got 'few'"),
        ("weights=0.1,weights=0.2", "stated twice"),
        ("", "says no share"),
    ],
)
def test_what_is_no_share(text, said):
    with pytest.raises(UsageError) as error:
        picojoule.estimate("merkel:L1", hardware="eyeriss-v1", sparsity=text)
    assert said in f"{error.value} {error.value.hint}"
    assert error.value.where == "sparsity"


def test_they_stand_in_every_layer_and_verify():
    result = picojoule.estimate("alexnet", hardware="horowitz-arithmetic-45nm", sparsity="weights=0.3", search=EXACT)
    assert result.sparsity == "stated"
    assert all(row.zeros == ({"weights": 0.3} if row.dims else None) for row in result.layers)
    assert picojoule.verify(result).ok
    dense = picojoule.estimate("alexnet", hardware="horowitz-arithmetic-45nm", search=EXACT)
    assert result.energy_pj == pytest.approx(0.7 * dense.energy_pj)

