"""Axes that are arguments of ``estimate``: what their values may be, and networks: told before anything is solved."""

from __future__ import annotations

import os
from typing import Any

from picojoule.errors import UsageError
from picojoule.estimation.fusion import check_fuse
from picojoule.frontends import load_model
from picojoule.frontends.resolve import is_factory
from picojoule.hardware import load_table
from picojoule.workload.widths import parse_bits
from picojoule.workload.zeros import parse_zeros

ARGUMENTS = ("bits", "batch", "sparsity", "fuse", "table")


def bits_of(value: Any) -> Any:
    """Bits as ``estimate`` takes them, from a file where a number may stand as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def fuse_of(value: Any) -> Any:
    """What is to be fused; a file's false or nothing is ``off``."""
    return value or "off"


def check_argument(name: str, value: Any, objective: str) -> None:
    """Refuses what ``estimate`` would refuse of an argument.

    Args:
        name: of ``ARGUMENTS``.
        value: of the axis; None leaves the argument out.
        objective: that mappings are searched for.

    Raises:
        PicojouleError: says what is wrong and what to write.
    """
    if value is None:
        return
    if name == "bits":
        parse_bits(bits_of(value))
    elif name == "batch":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"a batch is a whole number from 1 on, got {value!r}", hint="batch: [1, 4]")
    elif name == "sparsity":
        if value not in ("given", "measured"):
            parse_zeros(str(value))
    elif name == "fuse":
        check_fuse(fuse_of(value), objective, {})
    else:
        load_table(value)


def check_network(name: str) -> None:
    """Refuses a network that is neither a file, a factory nor built in.

    Raises:
        PicojouleError: names what is near.
    """
    if not os.path.isfile(name) and not is_factory(name):
        load_model(name)
