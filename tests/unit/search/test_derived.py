"""What a family was found to need is found again, and nobody takes it at its word."""

from __future__ import annotations

import sqlite3

import pytest
from unit.search.test_family import EXACT, LIKE, NEST, PRICES

from picojoule.cost.zeros import priced
from picojoule.search import derived
from picojoule.search.derived import Derived
from picojoule.search.layer import search_layer
from picojoule.search.recall import family_through_cache
from picojoule.workload.zeros import DENSE

LAYER = (NEST, LIKE.bits, DENSE)
FEW = [priced(machine, *LAYER) for machine in PRICES[::5]]


@pytest.fixture
def found(tmp_path):
    """Answers of four machines, kept in a folder."""
    shelf = Derived(tmp_path / "cache")
    alone = lambda machine: search_layer(NEST, machine, LIKE.bits, "energy", EXACT)  # noqa: E731
    answers = dict(family_through_cache(LAYER, FEW, "energy", EXACT, alone, shelf))
    shelf.flush()
    return answers


def again(tmp_path, searched, machines=FEW):
    return dict(family_through_cache(LAYER, machines, "energy", EXACT, searched, Derived(tmp_path / "cache")))


def never(machine):
    raise AssertionError("searched")


def test_answers_are_there_again_without_a_search(found, tmp_path):
    assert derived.count(tmp_path / "cache")[0] == 4
    assert again(tmp_path, never) == found


def test_new_machines_begin_with_what_is_kept(found, tmp_path):
    more = [*FEW, *(priced(machine, *LAYER) for machine in PRICES[1:5])]
    wider = again(tmp_path, never, more)  # there is a mapping to begin with
    assert {n: wider[n] for n in range(4)} == found
    for n, machine in enumerate(more[4:], 4):
        assert wider[n].value == pytest.approx(search_layer(NEST, machine, LIKE.bits, "energy", EXACT).value, rel=1e-11)


def test_what_is_damaged_or_wrong_is_searched_again(found, tmp_path):
    with sqlite3.connect(tmp_path / "cache" / derived.FILE) as database:
        rows = database.execute("SELECT key, found FROM answers ORDER BY number").fetchall()
        database.execute("UPDATE answers SET found = ? WHERE key = ?", (rows[0][1][:-9], rows[0][0]))
        database.execute("UPDATE answers SET found = ? WHERE key = ?", (rows[1][1], rows[2][0]))  # of another machine
    searched = []

    def cold(machine):
        searched.append(machine)
        return search_layer(NEST, machine, LIKE.bits, "energy", EXACT)

    assert {n: one.value for n, one in again(tmp_path, cold).items()} == {n: one.value for n, one in found.items()}


def test_a_file_that_is_no_database_keeps_nothing_and_breaks_nothing(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / derived.FILE).write_text("no database", encoding="utf-8")
    shelf = Derived(tmp_path / "cache")
    shelf.keep("key", {"value": 1})
    shelf.flush()
    assert (shelf.read(["key"]), derived.count(tmp_path / "cache")) == ({}, (0, 11))


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(derived, "MAX_ANSWERS", 3)
    shelf = Derived(tmp_path)
    for n in range(5):
        shelf.keep(str(n), {"n": n})
        shelf.flush()
    assert shelf.read([str(n) for n in range(5)]) == {str(n): {"n": n} for n in (2, 3, 4)}
    derived.remove(tmp_path)
    assert not list(tmp_path.iterdir())
