"""Places by the saving that they buy."""

from __future__ import annotations

import numpy as np
import pytest

from picojoule.errors import InputError
from picojoule.exits.cutting import Place
from picojoule.exits.energies import ExitEnergies
from picojoule.exits.heads import head_of, heads_for
from picojoule.exits.network_with_exits import NewExit
from picojoule.exits.places import chosen_by_saving

SHAPE = (16, 8, 8)


def tried(*names):
    return [
        NewExit(place=Place(name=n, names=(n,), node=n, shape=SHAPE, before=()), head=head_of(SHAPE, (), 3)) for n in names
    ]


def logits(*strengths):
    """Of exits that are the surer of the right class the stronger they are; all look at the same noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    noise = rng.normal(size=(600, 3))
    return np.array([s * np.eye(3)[labels] + noise for s in strengths]), labels


def test_the_exit_with_the_least_expected_energy_is_taken_first_and_others_only_if_they_help():
    answers, labels = logits(2.0, 2.1, 4.0, 5.0)
    energies = ExitEnergies(trunk=(10.0, 30.0, 30.0, 30.0), heads=(1.0, 1.0, 1.0, 0.0))
    probes = chosen_by_saving(tried("a", "b", "c"), answers, labels, energies, lose=0.01, most=2)
    assert [probe.rank for probe in probes].count(1) == 1
    first = next(probe for probe in probes if probe.rank == 1)
    assert first.saved == max(probe.saved for probe in probes) == pytest.approx(first.saved_with)
    assert sum(probe.rank is not None for probe in probes) == 2
    second = next(probe for probe in probes if probe.rank == 2)
    assert second.saved_with >= first.saved_with + 0.01
    assert [probe.energy for probe in probes] == [11, 41, 71]
    assert chosen_by_saving(tried("a", "b", "c"), answers, labels, energies, lose=0.01, most=1)[1].rank in (None, 1)


def test_a_second_exit_that_knows_no_more_than_the_first_is_not_taken():
    answers, labels = logits(3.0, 3.0, 5.0)
    energies = ExitEnergies(trunk=(10.0, 40.0, 40.0), heads=(1.0, 1.0, 0.0))
    probes = chosen_by_saving(tried("a", "b"), answers, labels, energies, lose=0.01, most=3)
    assert [probe.rank for probe in probes] == [1, None]


def test_no_exit_that_saves():
    answers, labels = logits(0.5, 5.0)
    energies = ExitEnergies(trunk=(10.0, 90.0), heads=(10.0, 0.0))
    with pytest.raises(InputError, match="no exit is worth its energy: the best place, a, saves") as error:
        chosen_by_saving(tried("a"), answers, labels, energies, lose=0.0, most=3)
    assert "head_energy" in error.value.hint


def test_heads_grow_and_fit_small_maps():
    heads = heads_for((32, 16, 16), 10)
    assert [head.macs for head in heads] == sorted(head.macs for head in heads)
    assert heads[0].shown == "linear" and heads[0].macs == 320
    assert heads[-1].shown == "conv 64/2, conv 64/1, conv 128/2, conv 128/1, linear"
    assert all(stride == 1 for head in heads_for((64, 4, 4), 10) for _, stride in head.convs)
    assert [head.shown for head in heads_for((64,), 10)] == ["linear"] and heads_for((4, 64), 10) == []
