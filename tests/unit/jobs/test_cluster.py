"""Tasks on a Dask cluster: the answers of a serial run, also where a worker is killed on the way."""

from __future__ import annotations

import os
import signal
import warnings

import pytest
from support.slow_squares import failing_at_three, in_two_parts, noted
from support.small_studies import written

from picojoule.errors import SystemFailure, UsageError
from picojoule.jobs import parts, run_all
from picojoule.study import read_points, read_study, run_study

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two workers, each a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0, silence_logs=50
        )
        yield made
        made.close()


def test_a_worker_that_is_killed_loses_nothing(cluster, tmp_path):
    notes = tmp_path / "notes"
    tasks = {f"key {i}": (i, str(notes)) for i in range(24)}
    killed: list[int] = []

    def kill_one(step):
        if step.done == 4:
            killed.append(int(notes.read_text(encoding="utf-8").split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    answers = run_all(noted, tasks, cluster=cluster.scheduler_address, progress=kill_one)
    assert list(answers.items()) == [(f"key {i}", i * i) for i in range(24)]
    workers = {int(line.split()[1]) for line in notes.read_text(encoding="utf-8").splitlines()}
    assert killed and workers - set(killed) - {os.getpid()}


def test_a_study_on_a_cluster_is_the_serial_study(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(tmp_path / "cache"))
    study = read_study(written(tmp_path))
    killed: list[int] = []

    def kill_one(state):
        if not killed and state.index:
            victim = next(worker for worker in cluster.workers.values() if worker.process is not None)
            killed.append(victim.pid)
            os.kill(victim.pid, signal.SIGKILL)

    run_study(study, storage=str(tmp_path / "c.db"), cluster=cluster.scheduler_address, cache=False, progress=kill_one)
    run_study(study, storage=str(tmp_path / "s.db"), cache=False)
    there, here = ({r.key: r.figures for r in read_points(str(tmp_path / name))[1]} for name in ("c.db", "s.db"))
    assert killed and there == here and len(here) == 12


def test_what_goes_wrong_in_a_worker_comes_back(cluster):
    with pytest.raises(ValueError, match="three"):
        run_all(failing_at_three, {str(i): i for i in range(6)}, cluster=cluster.scheduler_address)


def test_parts_of_an_answer_come_as_soon_as_they_are_there(cluster, tmp_path):
    heard = {}
    tasks = ((name, (name, str(tmp_path))) for name in "abc")
    for key, answer in parts(in_two_parts, tasks, cluster=cluster.scheduler_address):
        heard[key] = answer
        (tmp_path / key).touch()
    assert heard == {f"{name}, {part}": of for name in "abc" for part, of in (("first", name), ("second", name.upper()))}


def test_a_cluster_that_lost_its_workers_ends_the_run(monkeypatch, tmp_path):
    monkeypatch.setattr("picojoule.jobs.handed_out.LOOK_S", 0.1)
    monkeypatch.setattr("picojoule.jobs.cluster._PATIENCE_S", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0, "silence_logs": 50}
        own = distributed.LocalCluster(n_workers=1, processes=False, protocol="tcp://", **settings)
    with own:
        with pytest.raises(SystemFailure, match="no worker is left") as caught:
            tasks = {str(i): (i, str(tmp_path / "notes")) for i in range(20)}
            run_all(noted, tasks, cluster=own.scheduler_address, progress=lambda step: step.done == 1 and own.scale(0))
        assert "dask worker" in caught.value.hint


def test_no_scheduler_is_told(monkeypatch):
    monkeypatch.setattr("picojoule.jobs.cluster._WAIT_S", 1)
    with pytest.raises(UsageError, match="no scheduler answers") as caught:
        run_all(noted, {"a": (1, "x")}, cluster="tcp://127.0.0.1:9")
    assert "dask scheduler" in caught.value.hint
