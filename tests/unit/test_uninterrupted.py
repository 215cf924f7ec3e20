"""What goes on with an estimate's figures doesn't go on after Ctrl-C."""

from __future__ import annotations

import pytest

from picojoule import estimate
from picojoule.compress.costs import modelled
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.hardware import load_hardware

ASKED = {"hardware": "eyeriss-normalized", "cache": False}


def _ctrl_c(*_, **__):
    raise KeyboardInterrupt


def test_it_is_the_estimate_where_nobody_interrupts():
    assert estimate_uninterrupted("merkel:L1", **ASKED).energy_pj == estimate("merkel:L1", **ASKED).energy_pj


def test_a_search_that_is_cut_short_is_no_result(monkeypatch):
    monkeypatch.setattr("picojoule.search.many.timed", _ctrl_c)
    assert estimate("merkel:L1", **ASKED).status == "INTERRUPTED"
    with pytest.raises(KeyboardInterrupt):
        estimate_uninterrupted("merkel:L1", **ASKED)


def test_a_job_takes_no_cost_from_a_search_that_was_cut_short(monkeypatch):
    """Every budget is a share of it: a folder that kept it would hand over the network as it came."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("picojoule.search.many.timed", _ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        modelled(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)), torch.zeros(1, 1, 5, 5), load_hardware("eyeriss-normalized"))
