"""Processes that search side by side: they stop when they are told to, and only then."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import wait

import pytest

from picojoule.hardware import load_hardware
from picojoule.search import workers
from picojoule.search.many import search_layers
from picojoule.search.policy import Exact
from picojoule.search.workers import Workers
from picojoule.workload.nest import Nest
from picojoule.workload.zeros import DENSE

MACHINE = load_hardware("eyeriss-normalized")
LAYERS = [(Nest(K=size, C=24, P=7, Q=7, R=3, S=3), MACHINE.bits, DENSE) for size in (16, 24, 32)]
EXACT = Exact(time_limit_s=None, factors="exact")
posix = pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process, which needs POSIX")


def test_what_waits_is_never_begun_once_they_were_told_to_stop():
    pool = Workers(1)
    pool.stop()
    began = pool.submit((key, MACHINE, "energy", EXACT, False) for key in LAYERS)
    assert [future.result() for future in began] == [None] * len(LAYERS)
    pool.close()


@posix
def test_ctrl_c_while_they_are_started_is_heard_afterwards():
    with pytest.raises(KeyboardInterrupt), workers._without_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
        outlived = True
    assert outlived
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@posix
def test_ctrl_c_keeps_what_finishes_before_it_is_minded(monkeypatch):
    handed_in, kept, submit = [], [], Workers.submit
    monkeypatch.setattr(Workers, "submit", lambda *given: handed_in.extend(submit(*given)) or handed_in)

    def keep(key, found, _seconds):
        kept.append((key, found.status))
        if len(kept) == 1:
            wait(handed_in)
            signal.raise_signal(signal.SIGINT)

    found = search_layers(dict.fromkeys(LAYERS, ""), MACHINE, "energy", EXACT, jobs=2, keep=keep)
    assert {one.status for one in found.values()} == {"PROVED"}
    assert {key for key, _ in kept} == set(LAYERS)
