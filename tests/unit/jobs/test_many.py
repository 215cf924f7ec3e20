"""Tasks are done once each, in any process, and what was done survives whatever ends the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.slow_squares import failing_at_three, in_two_parts, killed_at_three, squared

import picojoule
from picojoule.errors import MissingExtraError, SystemFailure
from picojoule.jobs import Journal, Step, parts, run_all

TASKS = {f"key {i}": i for i in range(6)}
SQUARES = {key: i * i for key, i in TASKS.items()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_stand_in_the_order_of_the_tasks(jobs):
    steps: list[Step] = []
    answers = run_all(squared, TASKS, jobs=jobs, progress=steps.append)
    assert list(answers.items()) == list(SQUARES.items())
    assert [step.done for step in steps] == list(range(7))
    assert {step.total for step in steps} == {6}
    assert {step.key for step in steps[1:]} == set(TASKS)


def test_what_the_journal_holds_is_not_done_again(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.add("key 2", "from the journal")
        journal.add("of another run", 0)
        done: list[int] = []
        answers = run_all(lambda i: done.append(i) or i * i, TASKS, journal=journal)
    assert done == [0, 1, 3, 4, 5]
    assert answers == {**SQUARES, "key 2": "from the journal"}
    with Journal(tmp_path / "j") as journal:
        assert journal.answers == {**answers, "of another run": 0}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_fails_leaves_what_was_done(tmp_path, jobs):
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(ValueError, match="three"):
            run_all(failing_at_three, TASKS, jobs=jobs, journal=journal)
        assert "key 3" not in journal.answers
        # Of the three before it the other process may still have one at hand.
        assert len({"key 0", "key 1", "key 2"} & set(journal.answers)) > 3 - jobs


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_process_that_is_killed_is_told(tmp_path):
    with Journal(tmp_path / "j") as journal, pytest.raises(SystemFailure, match="a process was killed"):
        run_all(killed_at_three, TASKS, jobs=2, journal=journal)


def test_without_joblib_several_processes_are_refused_and_one_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(MissingExtraError, match=r"picojoule\[study\]"):
        run_all(squared, TASKS, jobs=2)
    assert run_all(squared, TASKS) == SQUARES


@pytest.mark.parametrize("jobs", [1, 2])
def test_parts_of_an_answer_come_as_soon_as_they_are_there(tmp_path, jobs):
    heard = {}
    for key, answer in parts(in_two_parts, ((name, (name, str(tmp_path))) for name in "abc"), jobs=jobs):
        assert key not in heard
        heard[key] = answer
        (tmp_path / key).touch()
    assert heard == {f"{name}, {part}": of for name in "abc" for part, of in (("first", name), ("second", name.upper()))}


RUN = """\
import sys
from pathlib import Path
from picojoule.jobs import Journal, run_all
from support.slow_squares import noted
folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
with Journal(folder / "j") as journal:
    tasks = {str(i): (i, str(folder / "notes")) for i in range(12)}
    print(run_all(noted, tasks, jobs=jobs, journal=journal))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("jobs", [1, 2])
def test_after_sigkill_at_most_the_tasks_in_flight_are_done_twice(tmp_path, jobs):
    source = os.pathsep.join([str(Path(picojoule.__file__).parents[1]), str(Path(__file__).parents[2])])
    argv = [sys.executable, "-c", RUN, str(tmp_path), str(jobs)]
    environment = {**os.environ, "PYTHONPATH": source}
    first = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    notes = tmp_path / "notes"
    waited = 0
    while not (notes.exists() and notes.read_text(encoding="utf-8").count("\n") >= 5) and waited < 600:
        time.sleep(0.05)
        waited += 1
    first.send_signal(signal.SIGKILL)
    first.wait()
    began = {line.split()[0] for line in notes.read_text(encoding="utf-8").splitlines()}
    workers = {int(line.split()[1]) for line in notes.read_text(encoding="utf-8").splitlines()} - {first.pid}
    with Journal(tmp_path / "j") as journal:
        kept = set(journal.answers)
    assert kept and len(began - kept) <= 2 * jobs, "a task in flight, and one whose answer was on its way, per process"
    assert _gone(workers), "the processes of a run that was killed live on"
    notes.unlink()
    second = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert second.stdout.strip() == str({str(i): i * i for i in range(12)})
    redone = {line.split()[0] for line in notes.read_text(encoding="utf-8").splitlines()}
    assert redone == {str(i) for i in range(12)} - kept


def _gone(workers: set[int]) -> bool:
    """Whether these processes end by themselves within some seconds."""
    for _ in range(100):
        if not any(_lives(pid) for pid in workers):
            return True
        time.sleep(0.1)
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
