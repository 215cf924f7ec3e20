"""A command of the user's own: what it may print, and every way in which it can fail."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from picojoule.errors import InputError, SystemFailure, UsageError
from picojoule.runtime.command_runner import CommandRunner, Reading

MODEL = Path("net.onnx")


def script(folder: Path, code: str) -> str:
    """A command that runs Python ``code`` with the ONNX file as its argument."""
    file = folder / "bench.py"
    file.write_text(code)
    return f"{sys.executable} {file} {{onnx}}"


def test_milliseconds_and_joules(tmp_path):
    command = script(tmp_path, 'print(\'{"ms": 12.5, "joules": 0.25}\')')
    assert CommandRunner(command).read(MODEL) == Reading(seconds=0.0125, joules=0.25)


def test_a_board_may_greet_and_leave_out_joules(tmp_path):
    command = script(tmp_path, 'print("welcome {board}")\nprint(\'{"note": 1\')\nprint(\'{"ms": 3}\')\nprint("bye")')
    assert CommandRunner(command).read(MODEL) == Reading(seconds=0.003, joules=None)


def test_the_path_is_one_word_whatever_is_in_it(tmp_path):
    command = script(
        tmp_path, 'import sys, json\nassert len(sys.argv) == 2\nprint(json.dumps({"ms": len(sys.argv[1])}))'
    )
    awkward = "a b; echo $HOME.onnx"
    assert CommandRunner(command).read(Path(awkward)).seconds == pytest.approx(0.001 * len(awkward))


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("", "the command gave no figures; it printed nothing"),
        ("12.5 ms", "the command gave no figures; it printed '12.5 ms'"),
        ("[1, 2]", "the command gave no figures"),
        ('{"joules": 1}', '"ms" is None, not a number above 0'),
        ('{"ms": "12"}', "\"ms\" is '12', not a number above 0"),
        ('{"ms": 0}', '"ms" is 0, not a number above 0'),
        ('{"ms": -1}', '"ms" is -1, not a number above 0'),
        ('{"ms": NaN}', '"ms" is nan, not a number above 0'),
        ('{"ms": true}', '"ms" is True, not a number above 0'),
        ('{"ms": 1, "joules": "much"}', "\"joules\" is 'much', not a number of at least 0"),
        ('{"ms": 1, "joules": -2}', '"joules" is -2, not a number of at least 0'),
    ],
)
def test_garbage_is_an_error_of_contents_that_shows_it(tmp_path, printed, message):
    with pytest.raises(InputError) as caught:
        CommandRunner(script(tmp_path, f"print({printed!r})")).read(MODEL)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == 3


def test_a_crash_tells_exit_code_and_last_words(tmp_path):
    command = script(tmp_path, "import sys\nprint('loading', file=sys.stderr)\nsys.exit('no route to board')")
    with pytest.raises(SystemFailure, match="ended with exit code 1: no route to board") as caught:
        CommandRunner(command).read(MODEL)
    assert caught.value.exit_code == 4 and caught.value.where == command


def test_a_command_that_is_killed(tmp_path):
    with pytest.raises(SystemFailure, match="was ended by signal 9"):
        CommandRunner(script(tmp_path, "import os\nos.kill(os.getpid(), 9)")).read(MODEL)


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(tmp_path):
    """The grandchild holds the pipe open: waiting for it would hang us, too."""
    mark = tmp_path / "survived"
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {f'import time; time.sleep(2); open({str(mark)!r}, chr(119))'!r}])\n"
        "time.sleep(60)"
    )
    with pytest.raises(SystemFailure, match="took longer than 1 s and was stopped") as caught:
        CommandRunner(script(tmp_path, code), timeout_s=1.0).read(MODEL)
    assert caught.value.hint == "--timeout gives it longer."
    time.sleep(2.0)
    assert not mark.exists()


def test_a_command_that_is_not_there():
    with pytest.raises(SystemFailure, match="can't be started: No such file"):
        CommandRunner("no-such-bench-anywhere {onnx}").read(MODEL)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "doesn't say where the file goes"),
        ("ssh board ./bench", "doesn't say where the file goes"),
        ("ssh 'board {onnx}", "is no command: No closing quotation"),
    ],
)
def test_a_command_that_cannot_be_one(command, message):
    with pytest.raises(UsageError, match=message):
        CommandRunner(command)


def test_a_timeout_of_nothing():
    with pytest.raises(UsageError, match="a timeout of 0 s"):
        CommandRunner("bench {onnx}", timeout_s=0)
