"""Designs of Timeloop and Accelergy → one of our machine descriptions, once, with a list of what it can't carry.

``files`` finds what the files hold. ``tree`` reads an architecture of version 0.3, ``nodes`` one of 0.4,
``constraints`` the constraints of both, ``energies`` Accelergy's tables: all of them into the types of ``design``.
``rules`` turns constraints into ours, ``kinds`` classes into kinds of memory; ``convert`` makes the description, which
``hardware.writing`` writes. Every key of the input is carried, listed or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picojoule.errors import HardwareError
from picojoule.hardware.accelerator import Accelerator
from picojoule.hardware.describe import accelerator_from_text
from picojoule.hardware.timeloop.constraints import read_targets
from picojoule.hardware.timeloop.convert import to_data
from picojoule.hardware.timeloop.energies import read_areas, read_energies
from picojoule.hardware.timeloop.fields import LeftOut
from picojoule.hardware.timeloop.files import checked_paths, read_files, version_of
from picojoule.hardware.timeloop.nodes import read_nodes
from picojoule.hardware.timeloop.tree import read_tree
from picojoule.hardware.writing import machine_yaml

__all__ = ["Imported", "import_timeloop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a design.

    Attributes:
        machine: as it is read from ``text``.
        text: our description, with what was left out as comments at its top.
        left_out: a line for each thing that could not be carried: where it stands, what it is, and why.
    """

    machine: Accelerator
    text: str
    left_out: tuple[str, ...]


def import_timeloop(paths: Sequence[Path], name: str | None = None) -> Imported:
    """The machine that files of Timeloop and Accelergy describe: architecture, energy table, constraints.

    Args:
        paths: the files, in any order.
        name: of the machine; that of the architecture's file if None.

    Raises:
        UsageError: a file is named twice.
        HardwareError: a file is malformed, or says what no description of ours can; names file, line and field.
        SystemFailure: the system doesn't let us read a file.
    """
    checked_paths(paths)
    left_out = LeftOut()
    parts = read_files(paths, left_out)
    version = version_of(parts.architecture)
    constraints = [one for field in parts.constraints for one in read_targets(field, left_out)]
    if version == "0.3":
        design = read_tree(parts.architecture, parts.variables, constraints, left_out)
    else:
        design = read_nodes(parts.architecture, parts.variables, constraints, left_out)
    table = read_energies(parts.ert, left_out)
    areas = None if parts.art is None else read_areas(parts.art)
    called = parts.stem if name is None else name
    source = f"Accelergy's {Path(parts.ert.origin.name).name}"
    data = {
        "name": called,
        "description": f"Timeloop's design {parts.stem} (version {version})",
        **to_data(design, table, areas, left_out),
        "table": {"name": f"{called}-accelergy", "source": source},
    }
    table.note_unused(left_out)
    comments = [
        f"Imported from Timeloop's {', '.join(parts.names)} (version {version}).",
        "",
        *(["Not carried:", *(f"- {line}" for line in left_out.lines)] if left_out.lines else []),
    ]
    text = machine_yaml(data, comments)
    try:
        machine = accelerator_from_text(text, called)
    except HardwareError as error:
        raise HardwareError(
            f"the design comes to no machine of ours: {error.where.rpartition(': ')[2]}: {error.message}",
            where=parts.architecture.place,
            hint=error.hint,
        ) from None
    return Imported(machine=machine, text=text, left_out=tuple(left_out.lines))
