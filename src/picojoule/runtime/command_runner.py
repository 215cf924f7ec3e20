"""Measuring through a command of the user's own: on a board, a phone, a farm."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from picojoule.errors import InputError, SystemFailure, UsageError

PLACE = "{onnx}"
"""Stands in the command for the path of the ONNX file."""
TIMEOUT_S = 60.0
_SHOWN = 300
_FIELDS = '{"ms": 12.3} or {"ms": 12.3, "joules": 0.045}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one call of a command gave.

    Attributes:
        seconds: latency of a run of the network.
        joules: its energy; None if the command gave none.
    """

    seconds: float
    joules: float | None


class CommandRunner:
    """Calls a command for an ONNX file and reads the figures that it prints.

    Args:
        command: for example ``ssh board ./bench {onnx}``: split into words as a shell would, run without one. ``{onnx}``
            becomes the path of the file.
        timeout_s: a call that takes longer is stopped.

    Raises:
        UsageError: the command is empty, has an open quote, or has no ``{onnx}``.
    """

    def __init__(self, command: str, *, timeout_s: float = TIMEOUT_S) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as problem:
            raise UsageError(f"{command!r} is no command: {problem}", where="--runner") from problem
        if not self._words or not any(PLACE in word for word in self._words):
            raise UsageError(
                f"the command {command!r} doesn't say where the file goes",
                where="--runner",
                hint=f"Write {PLACE} in its place: --runner 'ssh board ./bench {PLACE}'.",
            )
        if not timeout_s > 0:
            raise UsageError(f"a timeout of {timeout_s:g} s", where="--timeout", hint="More than 0.")
        self.command = command
        self.timeout_s = timeout_s

    def read(self, model: Path) -> Reading:
        """Calls the command once.

        Raises:
            SystemFailure: it can't be started, takes too long, or ends with another exit code than 0.
            InputError: what it prints are no figures.
        """
        words = [word.replace(PLACE, str(model)) for word in self._words]
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as failure:
            raise SystemFailure(f"the command can't be started: {failure.strerror}", where=self.command) from failure
        try:
            printed, said = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            _, said = _stop(process)
            raise SystemFailure(
                f"the command took longer than {self.timeout_s:g} s and was stopped{_tail(said)}",
                where=self.command,
                hint="--timeout gives it longer.",
            ) from None
        except BaseException:  # Ctrl-C: nothing of it is left running
            _stop(process)
            raise
        code = process.returncode
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise SystemFailure(f"the command {how}{_tail(said or printed)}", where=self.command)
        return _reading(printed.decode("utf-8", "replace"), self.command)


def _stop(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Ends a command with all that it started; what it had printed."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        return b"", b""


def _reading(printed: str, command: str) -> Reading:
    """The figures on the last line that is a JSON object: a board may greet before."""
    found = None
    for line in printed.splitlines():
        if line.strip().startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            found = value if isinstance(value, dict) else found
    if found is None:
        shown = f"; it printed {_short(printed)!r}" if printed.strip() else "; it printed nothing"
        raise InputError(f"the command gave no figures{shown}", where=command, hint=f"A line such as {_FIELDS}.")
    ms, joules = found.get("ms"), found.get("joules")
    if not _figure(ms) or not ms > 0:
        raise InputError(f'"ms" is {ms!r}, not a number above 0', where=command, hint=f"A line such as {_FIELDS}.")
    if joules is not None and not (_figure(joules) and joules >= 0):
        raise InputError(
            f'"joules" is {joules!r}, not a number of at least 0',
            where=command,
            hint="Leave it out if there is no meter.",
        )
    return Reading(seconds=ms / 1000, joules=None if joules is None else float(joules))


def _figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _tail(said: bytes) -> str:
    text = said.decode("utf-8", "replace").strip()
    return f": {_short(text.splitlines()[-1])}" if text else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
