"""Budgets as people write them."""

from __future__ import annotations

import pytest

from picojoule.compress.budgets import as_asked, parse_budget
from picojoule.errors import UsageError


@pytest.mark.parametrize(
    ("text", "kind", "limit"),
    [
        ("1.2mJ", "energy", 1.2e9), ("3 µJ", "energy", 3e6), ("1e-3 J", "energy", 1e9), ("500pJ", "energy", 500.0),
        ("20 MMACs", "macs", 2e7), ("20M MACs", "macs", 2e7), ("150 kB", "bytes", 150_000), ("2 KiB", "bytes", 2048),
        ("1 MB", "bytes", 1e6), ("1 MiB", "bytes", 2**20), ("8ms", "latency", 8e-3),
    ],
)  # fmt: skip
def test_units_say_what_a_budget_is_of(text, kind, limit):
    budget = parse_budget(text)
    assert (budget.kind, budget.share) == (kind, False)
    assert budget.of(7.0) == pytest.approx(limit)


def test_a_percentage_is_of_what_it_costs_now():
    assert parse_budget("40%").of(200.0) == pytest.approx(80)
    assert parse_budget("40 %", of="macs").kind == "macs"


def test_bytes_may_be_those_of_memory():
    assert parse_budget("64kB", of="memory").kind == "memory"


@pytest.mark.parametrize("text", ["", "mJ", "0%", "101%", "-3mJ", "3", "3 parsecs", "0mJ", "nan mJ", "1e999 mJ", "1e-999J"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(UsageError, match="is no budget"):
        parse_budget(text)


def test_a_misspelt_unit_or_kind_gets_a_hint():
    with pytest.raises(UsageError) as caught:
        parse_budget("3 MMAC")
    assert "MMACs" in str(caught.value.hint)
    with pytest.raises(UsageError, match="can't be of 'enregy'"):
        parse_budget("40%", of="enregy")


@pytest.mark.parametrize(("text", "number"), [("1e-999J", "0"), ("0mJ", "0"), ("1e999 mJ", "inf")])
def test_a_number_out_of_range_is_not_taken_for_a_wrong_unit(text, number):
    with pytest.raises(UsageError, match=f"it is {number} as a number") as caught:
        parse_budget(text)
    assert caught.value.hint == "A budget is above 0 and finite."


def test_what_a_machine_does_not_tell_has_no_budget():
    with pytest.raises(UsageError, match="nothing is known of the latency"):
        parse_budget("50%", of="latency").of(None)


def test_budgets_that_differ_in_spaces_alone_are_one_request():
    assert as_asked("5 kB") == as_asked(" 5kB ") == "5kB"
    assert as_asked("60% macs") != as_asked("60% energy") and as_asked(None) is None
