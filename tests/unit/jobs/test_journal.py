"""A journal gives back what was added, whatever cut it short, and never mistakes a damaged line for an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import picojoule
from picojoule.errors import InputError, SystemFailure, UsageError
from picojoule.jobs import Journal


def filled(path: Path, count: int = 5) -> bytes:
    with Journal(path) as journal:
        for i in range(count):
            journal.add(f"key {i}", {"energy": i / 3, "status": "PROVED"})
    return path.read_bytes()


def test_answers_come_back_to_the_last_digit(tmp_path):
    filled(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal.answers == {f"key {i}": {"energy": i / 3, "status": "PROVED"} for i in range(5)}
        assert journal.damaged == 0


@settings(max_examples=40)
@given(cut=st.integers(0, 10**6))
def test_cut_off_anywhere_it_keeps_every_whole_line_and_takes_more(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "j"
    whole = filled(path)
    cut %= len(whole) + 1
    path.write_bytes(whole[:cut])
    head = whole.index(b"\n") + 1
    lines = whole[head:cut].count(b"\n") if cut > head else 0
    with Journal(path) as journal:
        assert list(journal.answers) == [f"key {i}" for i in range(lines)]
        journal.add("more", 1)
    with Journal(path) as journal:
        assert list(journal.answers) == [*(f"key {i}" for i in range(lines)), "more"]
        assert journal.damaged == 0


@pytest.mark.parametrize("line", [1, 3, 5])
def test_a_line_that_was_changed_is_dropped_and_counted(tmp_path, line):
    lines = filled(tmp_path / "j").splitlines(keepends=True)
    lines[line] = lines[line].replace(b"PROVED", b"PROVEN")
    (tmp_path / "j").write_bytes(b"".join(lines))
    with Journal(tmp_path / "j") as journal:
        assert set(journal.answers) == {f"key {i}" for i in range(5) if i != line - 1}
        assert journal.damaged == 1


def test_another_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"thesis\.txt: this is no journal: it doesn't begin with picojoule/journal/1"):
        Journal(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work\n"


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(SystemFailure, match="can't write: No such file or directory"):
        Journal(tmp_path / "nowhere" / "j")


@pytest.mark.skipif(os.name == "nt", reason="no such locks on Windows")
def test_another_process_is_kept_out_until_the_first_lets_go(tmp_path):
    path = tmp_path / "j"
    code = f"from pathlib import Path; from picojoule.jobs import Journal; Journal(Path({str(path)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(Path(picojoule.__file__).parents[1])}

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)

    with Journal(path):
        refused = other()
        with pytest.raises(UsageError, match="another run is writing this journal"):
            Journal(path)
    assert refused.returncode != 0 and "another run is writing this journal" in refused.stderr
    assert other().returncode == 0


def test_what_json_cannot_hold_is_refused_and_the_journal_stays_whole(tmp_path):
    with Journal(tmp_path / "j") as journal, pytest.raises(ValueError, match="JSON compliant"):
        journal.add("nan", float("nan"))
    with Journal(tmp_path / "j") as journal:
        assert journal.answers == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    with Journal(tmp_path / "j") as journal:
        full = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(journal, "_file", os.dup2(full, journal._file))
        os.close(full)
        with pytest.raises(SystemFailure, match="No space left"):
            journal.add("a", 1)
        assert journal.answers == {}
