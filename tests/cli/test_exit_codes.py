"""Every exit code, and the error document that JSON readers get."""

from __future__ import annotations

import json

import pytest

from picojoule.cli.failures import exit_code_of
from picojoule.errors import SystemFailure
from picojoule.result_file import read_result

SAVED = "tiny.eyeriss-normalized.json"
ESTIMATE = ("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized")


def broken(monkeypatch, failure):
    """Makes the estimate fail with ``failure``."""

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("picojoule.estimation.estimate", fail)


def document(ran):
    """The one document on stdout, which must be an error."""
    error = json.loads(ran.stdout)["error"]
    assert set(error) == {"code", "where", "message", "hint"}
    return error


USAGE = {
    "no machine": (["estimate", "tiny.yaml"], "--hardware"),
    "no model": (["estimate", "--hardware", "eyeriss-normalized"], "MODEL"),
    "unknown command": (["estimat"], "estimate"),
    "unknown option": ([*ESTIMATE, "--hardwre", "x"], "--hardware"),
    "unknown model": (["estimate", "resnet19", "--hardware", "eyeriss-normalized"], "resnet18"),
    "unknown machine": (["estimate", "tiny.yaml", "--hardware", "eyeris-normalized"], "eyeriss-normalized"),
    "unknown objective": ([*ESTIMATE, "--objective", "power"], "energy"),
    "unknown sort": ([*ESTIMATE, "--sort", "size"], "energy"),
    "unknown format": ([*ESTIMATE, "--format", "xml"], "csv"),
    "a gap that is none": ([*ESTIMATE, "--gap", "some"], "--gap"),
    "a gap of all": ([*ESTIMATE, "--gap", "100%"], "--gap"),
    "a time that is none": ([*ESTIMATE, "--time-limit", "long"], "--time-limit"),
    "a negative time": ([*ESTIMATE, "--time-limit=-1s"], "--time-limit"),
    "no batch": ([*ESTIMATE, "--batch", "0"], "--batch"),
    "no jobs": ([*ESTIMATE, "-j", "0"], "--jobs"),
    "no nodes": ([*ESTIMATE, "--node-limit", "0"], "--node-limit"),
    "bits that are none": ([*ESTIMATE, "--bits", "wide"], "bits"),
    "bits of no tensor": ([*ESTIMATE, "--bits", "weight=8"], "weights"),
    "a shape that is none": ([*ESTIMATE, "--shape", "input"], "--shape"),
    "no mapping file": ([*ESTIMATE, "--mapping", "none.json"], "none.json"),
    "save and no save": ([*ESTIMATE, "--save", "a.json", "--no-save"], "--no-save"),
    "save to a folder": ([*ESTIMATE, "--save", "."], "folder"),
    "save without folder": ([*ESTIMATE, "--save", "no/such/a.json"], "no/such"),
    "output to a folder": ([*ESTIMATE, "-o", "."], "folder"),
    "output without folder": ([*ESTIMATE, "-o", "no/such/out"], "no/such"),
    "nothing to verify": (["verify", "none.json"], "none.json"),
    "no such file to check": (["hardware", "check", "none.yaml"], "none.yaml"),
    "no such machine to show": (["hardware", "show", "eyeris-normalized"], "eyeriss-normalized"),
    "no such model to show": (["models", "show", "alexnt"], "alexnet"),
}


@pytest.mark.parametrize(("arguments", "word"), USAGE.values(), ids=USAGE.keys())
def test_a_wrong_command_line_is_2_and_says_what_would_be_right(run, folder, arguments, word):
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert word in ran.stderr
    assert ran.stdout == ""
    assert [file.name for file in folder.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("case", [case for case in USAGE if case not in ("unknown command", "unknown format")])
def test_a_wrong_command_line_in_json(run, case):
    arguments, word = USAGE[case]
    ran = run(*arguments, "--format", "json")
    assert ran.exit_code == 2
    error = document(ran)
    assert word in " ".join(error.values())
    assert error["code"] in ("usage", "unknown_name", "output_exists")


def test_json_given_with_an_equals_sign_counts(run):
    assert document(run("estimate", "tiny.yaml", "--format=json"))["code"] == "usage"


def test_no_command_shows_the_help_on_stderr(run):
    ran = run()
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "estimate" in ran.stderr


def test_done_is_0(run):
    assert run(*ESTIMATE).exit_code == 0
    assert run("verify", SAVED).exit_code == 0
    assert run("--help").exit_code == 0
    assert run("--version").exit_code == 0


def test_not_verified_is_1(run, folder):
    run(*ESTIMATE)
    saved = (folder / SAVED).read_text(encoding="utf-8")
    energy = str(read_result(folder / SAVED).energy_pj)
    (folder / "changed.json").write_text(saved.replace(energy, str(float(energy) * 2)), encoding="utf-8")
    ran = run("verify", "changed.json")
    assert ran.exit_code == 1
    assert "not verified" in ran.stdout
    ran = run("verify", "changed.json", "--format", "json")
    assert ran.exit_code == 1
    assert json.loads(ran.stdout)["ok"] is False


def test_a_bad_input_file_is_3(run, folder):
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    ran = run("estimate", "tiny.yaml", "--hardware", "list.yaml", "--format", "json")
    assert ran.exit_code == 3
    error = document(ran)
    assert error["code"] == "hardware"
    assert "list.yaml" in error["where"]


def test_a_failing_system_is_4(run, monkeypatch):
    broken(monkeypatch, SystemFailure("no room", where="somewhere", hint="make some"))
    ran = run(*ESTIMATE)
    assert ran.exit_code == 4
    assert ran.stderr == "error: somewhere: no room\n  make some\n"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(28, "No space left on device", "a.tmp"), "a.tmp: No space left on device"),
        (PermissionError(13, "Permission denied", "x"), "x: Permission denied"),
        (MemoryError(), "out of memory"),
        (ZeroDivisionError("division by zero"), "internal error: ZeroDivisionError: division by zero"),
        (RecursionError(), "internal error: RecursionError"),
    ],
)
def test_what_nobody_expected_is_4_and_one_line(run, monkeypatch, failure, said):
    broken(monkeypatch, failure)
    ran = run(*ESTIMATE, "--format", "json")
    assert ran.exit_code == 4
    assert ran.stderr.splitlines()[0] == f"error: {said}"
    assert document(ran)["code"] == ("internal" if "internal" in said else "system")


def test_an_internal_error_asks_for_a_report_and_shows_its_traceback_on_request(folder, monkeypatch):
    from click.testing import CliRunner

    from picojoule.cli.main import main

    broken(monkeypatch, ZeroDivisionError("division by zero"))
    plain = CliRunner().invoke(main, ESTIMATE)
    assert "please report" in plain.stderr
    assert "Traceback" not in plain.output
    assert "Traceback" in CliRunner().invoke(main, [*ESTIMATE, "-vv"]).stderr
    monkeypatch.setenv("PICOJOULE_DEBUG", "1")
    shown = CliRunner().invoke(main, [*ESTIMATE, "--format", "json"])
    assert "Traceback" in shown.stderr
    assert document(shown)["code"] == "internal"


def test_interrupted_before_anything_was_found_is_130(run, monkeypatch):
    broken(monkeypatch, KeyboardInterrupt())
    ran = run(*ESTIMATE, "--format", "json")
    assert ran.exit_code == 130
    assert document(ran)["code"] == "interrupted"
    # click ends the line on which the terminal shows ^C.
    assert ran.stderr == "\ninterrupted: nothing was found yet\n"


def test_interrupted_jobs_in_a_folder_say_that_they_go_on(capsys):
    assert exit_code_of(KeyboardInterrupt(), ["prune", "mine:net", "--folder", "job", "--budget", "60%"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted: the same command goes on from job"
