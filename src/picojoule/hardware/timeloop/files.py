"""The files of a Timeloop design: which of them say what, whatever their names and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picojoule.errors import HardwareError, UsageError, nearest
from picojoule.hardware import document
from picojoule.hardware.timeloop.fields import VERSIONS, Field, LeftOut, check_version
from picojoule.hardware.timeloop.nodes import TAGS

READ = ("architecture", "architecture_constraints", "variables", "ERT", "ART")
LEFT_OUT = {
    "mapspace_constraints": "they only shorten Timeloop's search, and limit no hardware",
    "compound_components": "how Accelergy prices a component; the energy table has the outcome",
    "components": "how Accelergy prices a component; the energy table has the outcome",
    "ERT_summary": "the same energies part by part; those of ERT are read",
    "ART_summary": "the same areas part by part; those of ART are read",
    "problem": "a layer is no part of a machine",
    "mapper": "how Timeloop searches",
    "mapping": "a mapping is no part of a machine (`picojoule estimate --mapping` reads Timeloop's text)",
}
"""What is listed and goes no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What was found, by its key; only ``architecture_constraints`` may be there several times.

    Attributes:
        stem: name of the architecture's file, without its suffix.
        names: of the files that something was read from.
    """

    architecture: Field
    constraints: Sequence[Field]
    variables: Mapping[str, Field]
    ert: Field
    art: Field | None
    stem: str
    names: tuple[str, ...]


def read_files(paths: Sequence[Path], left_out: LeftOut) -> Parts:
    """The parts of the design in ``paths``.

    Raises:
        HardwareError: a file is no YAML or none of Timeloop's, something is there twice, or no machine or no energies.
        SystemFailure: the system doesn't let us read a file.
    """
    found: dict[str, list[tuple[Field, Path]]] = {}
    for path in paths:
        data, origin = document.parse(document.read_text(path), str(path), TAGS)
        for key, field in Field(value=data, origin=origin).table().items():
            if key in LEFT_OUT:
                left_out.note(field, key, LEFT_OUT[key])
            elif key not in READ:
                raise field.refused(f"unknown key {key!r}", nearest(key, (*READ, *LEFT_OUT)))
            else:
                found.setdefault(key, []).append((field, path))
    for key, fields in found.items():
        if len(fields) > 1 and key != "architecture_constraints":
            raise fields[1][0].refused(f"{key} is there twice, first in {fields[0][0].place}", "Name one design.")
    for key, what in (("architecture", "describes the machine"), ("ERT", "has the energies")):
        if key not in found:
            raise HardwareError(
                f"no file has the key {key!r}, which {what}",
                where=", ".join(map(str, paths)),
                hint="Name the architecture, Accelergy's table (ERT.yaml), and the constraints if there are any.",
            )
    variables = {}
    if "variables" in found:
        field = found["variables"][0][0]
        variables = {key: one for key, one in field.table().items() if key != "version"}
        left_out.note(field, "variables", "only those that an expression names are read")
    return Parts(
        architecture=found["architecture"][0][0],
        constraints=[field for field, _ in found.get("architecture_constraints", [])],
        variables=variables,
        ert=found["ERT"][0][0],
        art=found["ART"][0][0] if "ART" in found else None,
        stem=found["architecture"][0][1].stem,
        names=tuple(path.name for path in dict.fromkeys(path for some in found.values() for _, path in some)),
    )


def version_of(architecture: Field) -> str:
    """``0.3`` or ``0.4``.

    Raises:
        HardwareError: it is another one, or none is given.
    """
    version = architecture.table().get("version")
    if version is None:
        raise architecture.refused(f"the version must be {' or '.join(VERSIONS)}, got none")
    check_version({"version": version})
    return str(version.value)


def checked_paths(paths: Sequence[Path]) -> None:
    """Refuses the same file twice.

    Raises:
        UsageError: a path is there twice.
    """
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise UsageError("the file is named twice", where=str(path))
