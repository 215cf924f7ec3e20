"""The authors' measurements: Timeloop's energies of the layers of the experiments, from the CSV files of their repository.

``github.com/PetraVidnerova/timeloop-accelergy-test``, folder ``data``. Its files have no header, and semicolons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from picojoule.errors import InputError, UsageError
from picojoule.hardware import Accelerator, load_hardware
from picojoule.study.validation.sweeps import Convolution, Sweep

_FILES = {"d": "energy_d", "n": "energy_inputs", "r": "energy_kernels", "s": "energy_stride"}
_DESIGNS = {"eyeriss-like-45nm": "eyeriss", "simba-like-45nm": "simba"}
"""The machines of the catalogue whose designs they measured, and the names that their files have."""

_DREW_RANDOM = "simba-like-45nm"
"""Of this one they measured layers with all parameters drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What Timeloop printed for a layer: pJ in all, of the MACs, and of the data."""

    layer: Convolution
    energy_pj: float
    mac_pj: float
    data_pj: float


def measured_machine(machine: Accelerator) -> str:
    """The name of the catalogue's machine, measured by the authors, that ``machine`` is, whatever its own name.

    Raises:
        UsageError: it is none of theirs.
    """
    for name in _DESIGNS:
        if _content(machine) == _content(load_hardware(name)):
            return name
    if machine.name in _DESIGNS:
        raise UsageError(
            f"this {machine.name} is not what the authors measured: it differs from the catalogue's",
            where="reference",
            hint="Leave --reference out, or take the catalogue's machine.",
        )
    raise _not_measured(machine.name)


def _content(machine: Accelerator) -> Accelerator:
    """All that decides an energy."""
    texts = dict.fromkeys(("name", "table_name", "table_source", "description", "resolved"), "")
    return replace(machine, **texts, parameters=(), estimated=False)


def _not_measured(name: str) -> UsageError:
    return UsageError(
        f"the authors measured no machine {name!r}", where="reference", hint=f"They have {' and '.join(_DESIGNS)}."
    )


def check_macs(measured: Sequence[Measured], machine: Accelerator, folder: Path) -> None:
    """Refuses measurements whose MACs don't cost what they cost on the machine.

    Raises:
        InputError: they differ by more than Timeloop's rounding.
    """
    each = machine.mac.at(machine.bits)
    # Timeloop prints energies to 0.01 pJ, after a sum over instances.
    far = [
        abs(one.mac_pj / (one.layer.nest.macs * each) - 1)
        for one in measured
        if not math.isclose(one.mac_pj, one.layer.nest.macs * each, rel_tol=1e-6, abs_tol=0.02)
    ]
    if far:
        raise InputError(
            f"the energy of the MACs differs from that of {machine.name} by up to {100 * max(far):,.1f} % "
            f"at {len(far)} of {len(measured)} points",
            where=f"reference {folder}",
            hint="Are these files of another machine, or changed?",
        )


def check_reference(machine: str, folder: Path) -> None:
    """Refuses a machine that the authors didn't measure, and a folder that isn't theirs.

    Raises:
        UsageError: either.
    """
    if machine not in _DESIGNS:
        raise _not_measured(machine)
    path = folder / f"{_DESIGNS[machine]}_{_FILES['d']}.csv"
    if not path.is_file():
        raise UsageError(
            f"there is no file {path.name}",
            where=f"reference {folder}",
            hint="It is the folder data of github.com/PetraVidnerova/timeloop-accelergy-test.",
        )


def measured_sweep(machine: str, folder: Path, sweep: Sweep) -> list[Measured]:
    """The measurements of one sweep, in the order of the file: value; total; MACs; data; and two columns of theory.

    Raises:
        InputError: no such file, a line that is none of theirs, a value that is not in the sweep or stands twice, or one
            of the sweep that is missing.
    """
    path = folder / f"{_DESIGNS[machine]}_{_FILES[sweep.parameter]}.csv"
    found, seen = [], set()
    for where, fields in _rows(path, columns=6):
        value = fields[0]
        if value not in sweep.values:
            raise InputError(f"{sweep.parameter} = {value:g} is not in the sweep", where=where)
        if value in seen:
            raise InputError(f"{sweep.parameter} = {value:g} stands there twice", where=where)
        if min(fields[4:]) < 0:
            raise InputError(f"columns 5 and 6 can't be {fields[4]:g} and {fields[5]:g}", where=where)
        seen.add(value)
        found.append(_measured(sweep.layer(int(value)), fields[1:4], where))
    missing = [value for value in sweep.values if value not in seen]
    if missing:
        named = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise InputError(
            f"{len(missing)} of {len(sweep.values)} points are missing: {sweep.parameter} = {named}", where=str(path)
        )
    return found


def measured_random(machine: str, folder: Path) -> list[Measured] | None:
    """Layers in which all parameters were drawn: n; d; q; r; s; total; MACs; data. None where they drew none.

    Raises:
        InputError: a line that is none of theirs.
        UsageError: they drew some, and the file is missing.
    """
    path = folder / f"random_networks_{_DESIGNS[machine]}.csv"
    if not path.is_file():
        if machine != _DREW_RANDOM:
            return None
        raise UsageError(
            f"there is no file {path.name}",
            where=f"reference {folder}",
            hint="The authors' random layers are in it; without it leave --random out.",
        )
    found = []
    for where, fields in _rows(path, columns=8):
        if any(field != int(field) or field < 1 for field in fields[:5]) or fields[0] < fields[3]:
            raise InputError(f"n, d, q, r, s can't be {', '.join(f'{field:g}' for field in fields[:5])}", where=where)
        n, d, q, r, s = (int(field) for field in fields[:5])
        found.append(_measured(Convolution(d=d, q=q, n=n, r=r, s=s), fields[5:8], where))
    return found


def _measured(layer: Convolution, energies: list[float], where: str) -> Measured:
    total, macs, data = energies
    # Timeloop prints energies to 0.01 pJ.
    if not math.isclose(total, macs + data, rel_tol=1e-9, abs_tol=0.05) or min(energies) <= 0:
        raise InputError(f"total {total:g} is not MACs {macs:g} + data {data:g}", where=where)
    return Measured(layer=layer, energy_pj=total, mac_pj=macs, data_pj=data)


def _rows(path: Path, columns: int) -> list[tuple[str, list[float]]]:
    """``(file:line, numbers)`` of every line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it is no text"
        raise InputError(f"can't read the measurements: {reason}", where=str(path)) from failure
    rows = []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            fields = [float(field) for field in line.split(";")]
        except ValueError:
            raise InputError(f"numbers between semicolons are expected, got {line[:60]!r}", where=where) from None
        if len(fields) != columns or not all(map(math.isfinite, fields)):
            raise InputError(f"{columns} numbers are expected, got {line[:60]!r}", where=where)
        rows.append((where, fields))
    return rows
