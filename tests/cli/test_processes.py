"""What needs a process of its own: Ctrl-C, a full disk, a reader that goes away, an encoding without bars."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

import picojoule
from picojoule.result_file import read_result
from picojoule.search.cache import entries
from picojoule.verification import verify

ESTIMATE = ("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized")
SAVED = "tiny.eyeriss-normalized.json"
FULL = Path("/dev/full")
on_full_disk = pytest.mark.skipif(
    not FULL.exists(), reason="this system has no /dev/full, which stands for a full disk"
)
with_signals = pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process, which needs POSIX")


@with_signals
@pytest.mark.parametrize("form", ["table", "json"])
def test_ctrl_c_keeps_prints_and_marks_what_was_found(command, folder, form):
    search = ("--gap", "0", "--time-limit", "none", "-v")
    process = command("estimate", "vgg16", "--hardware", "eyeriss-like-45nm", *search, "--format", form)
    for line in process.stderr:
        if line.startswith(" 2/"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    saved = read_result(folder / "vgg16.eyeriss-like-45nm.json")
    statuses = {layer.name: layer.status for layer in saved.layers}
    assert saved.status == "INTERRUPTED"
    assert statuses["conv1_1"] == "PROVED"
    assert statuses["conv5_3"] == "INTERRUPTED"
    assert verify(saved).ok
    if form == "json":
        assert json.loads(out) == saved.to_data()
    else:
        assert "interrupted" in out and "total" in out


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="/proc tells when a process has children")
def test_ctrl_c_while_processes_start(command, folder):
    search = ("--gap", "0", "--time-limit", "none", "--no-cache", "-j", "2")
    process = command("estimate", "vgg16", "--hardware", "eyeriss-like-45nm", *search, start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 3:  # two workers, and what Python has beside them
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    saved = read_result(folder / "vgg16.eyeriss-like-45nm.json")
    assert {layer.status for layer in saved.layers if layer.dims} == {"INTERRUPTED"}
    assert verify(saved).ok


@with_signals
def test_ctrl_c_with_processes_side_by_side_keeps_what_they_found(command, folder):
    search = ("--gap", "0", "--time-limit", "none", "-v", "-j", "2")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(picojoule.__file__).parents[1]),
        "PICOJOULE_CACHE_DIR": str(folder / "cache"),
    }
    arguments = ("estimate", "vgg16", "--hardware", "eyeriss-like-45nm", *search)
    process = command(*arguments, start_new_session=True, env=environment)
    for line in process.stderr:
        if line.startswith(" 1/"):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in err
    saved = read_result(folder / "vgg16.eyeriss-like-45nm.json")
    statuses = [layer.status for layer in saved.layers if layer.dims and layer.same_as is None]
    assert "PROVED" in statuses
    assert statuses.count("INTERRUPTED") > 1
    assert len(entries(folder / "cache")) == statuses.count("PROVED")
    assert verify(saved).ok


@on_full_disk
@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_a_full_disk_under_stdout(command, folder, form):
    with FULL.open("w") as full:
        process = command(*ESTIMATE, "--format", form, stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 4
    assert "error: standard output: can't write: No space left on device" in err
    assert "Traceback" not in err and "Exception ignored" not in err
    # The result was kept all the same, and the user is told.
    assert f"wrote {SAVED}" in err
    assert read_result(folder / SAVED).model == "tiny"


@on_full_disk
@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("models", "list"), ("hardware", "list")])
def test_a_full_disk_under_other_commands(command, arguments):
    with FULL.open("w") as full:
        process = command(*arguments, stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 4
    assert "No space left on device" in err
    assert "Traceback" not in err and "Exception ignored" not in err


@on_full_disk
def test_a_full_disk_under_an_output_file(run, folder):
    ran = run(*ESTIMATE, "-o", FULL)
    assert ran.exit_code == 4
    assert "/dev/full: can't write: No space left on device" in ran.stderr
    assert (folder / SAVED).is_file()
    assert FULL.is_char_device()


@on_full_disk
def test_a_device_is_never_replaced_by_a_result_file(run):
    ran = run(*ESTIMATE, "--save", FULL)
    assert ran.exit_code == 2
    assert FULL.is_char_device()


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_full_disk_under_the_result_file(run, folder, monkeypatch, form):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    (folder / SAVED).write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    ran = run(*ESTIMATE, "--format", form)
    assert ran.exit_code == 4
    assert f"{SAVED}: can't write: No space left on device" in ran.stderr
    if form == "json":
        assert json.loads(ran.stdout)["error"]["code"] == "system"
    else:
        assert ran.stdout.startswith("tiny"), "the table is shown even though the file could not be kept"
    assert (folder / SAVED).read_text() == "old"
    assert sorted(file.name for file in folder.iterdir()) == [SAVED, "tiny.yaml"]


def test_a_full_disk_under_a_forced_output_keeps_what_was_there(run, folder, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    (folder / "out").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    assert run(*ESTIMATE, "--no-save", "-o", "out", "--force").exit_code == 4
    assert (folder / "out").read_text() == "old"
    assert sorted(file.name for file in folder.iterdir()) == ["out", "tiny.yaml"]


@with_signals
def test_a_reader_that_goes_away_is_no_error(command, folder):
    process = command(*ESTIMATE, "--format", "json")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert err.strip() == f"wrote {SAVED}       next: picojoule verify {SAVED}"
    assert (folder / SAVED).is_file()


@with_signals
@pytest.mark.parametrize(
    "arguments", [("--help",), ("estimate", "--help"), ("--version",), ("models", "list", "--all")]
)
def test_a_reader_of_other_commands_that_goes_away(command, arguments):
    process = command(*arguments)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), err) == (0, "")


def test_shells_may_ask_for_completions(command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "_PICOJOULE_COMPLETE": "bash_source"}
    out, _ = command(env=environment).communicate(timeout=120)
    assert "picojoule" in out


@with_signals
def test_standard_output_that_is_closed(command):
    process = command("models", "list", preexec_fn=lambda: os.close(1), stdout=None)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 4
    assert "Traceback" not in err


def test_a_terminal_without_utf8_gets_plain_characters(command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii", "COLUMNS": "140"}
    process = command(*ESTIMATE, "--no-save", env=environment)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.isascii()
    assert "###" in out


def test_the_module_runs_like_the_command(command):
    out, _ = command("--version").communicate(timeout=120)
    assert out.startswith("picojoule ")
