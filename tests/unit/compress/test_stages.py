"""A job whose answers lie in a folder."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from picojoule.compress.stages import Stages, digest
from picojoule.errors import InputError, UsageError


def test_an_answer_is_worked_out_once(tmp_path):
    calls = []
    for _ in range(2):
        assert Stages(tmp_path, {"a": (1, 2)}).figures("x", lambda: calls.append(1) or {"v": 0.1}) == {"v": 0.1}
    assert calls == [1]


def test_weights_come_back_to_the_bit(tmp_path):
    torch.manual_seed(0)
    made = nn.Linear(3, 3)
    stages = Stages(tmp_path, {})
    assert digest(stages.weights("w", nn.Linear(3, 3), lambda: made)) == digest(made)
    assert digest(stages.weights("w", nn.Linear(3, 3), lambda: nn.Linear(3, 3))) == digest(made)


def test_a_digest_tells_weights_names_and_kinds_apart():
    layer = nn.Linear(2, 2)
    found = {digest(layer), digest(nn.Sequential(layer)), digest(layer.double())}
    layer.weight.data[0, 0] += 1
    assert len({*found, digest(layer)}) == 4


def test_other_requests_and_other_files_are_refused(tmp_path):
    Stages(tmp_path / "a", {"x": 1, "y": 2})
    with pytest.raises(UsageError, match="differs in x"):
        Stages(tmp_path / "a", {"x": 2, "y": 2})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").write_text("")
    with pytest.raises(UsageError, match="holds other files"):
        Stages(tmp_path / "b", {})


def test_what_can_not_be_read_is_named(tmp_path):
    stages = Stages(tmp_path, {})
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        stages.figures("x", dict)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_writes_its_request_it_begins_again(tmp_path, when):
    """By SIGKILL, on either side of the rename."""
    replace = "os.kill(os.getpid(), 9)" if when == "before" else "real(*paths); os.kill(os.getpid(), 9)"
    script = f"""
import os
from pathlib import Path
from picojoule.compress.stages import Stages
real = os.replace
def replace(*paths):
    {replace}
os.replace = replace
Stages(Path({str(tmp_path / "job")!r}), {{"a": 1}})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert list((tmp_path / "job").iterdir())
    Stages(tmp_path / "job", {"a": 1})
    with pytest.raises(UsageError, match="differs in a"):
        Stages(tmp_path / "job", {"a": 2})
