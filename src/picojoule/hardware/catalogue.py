"""The machines that come with picojoule, and how a name or path becomes a machine."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from picojoule.errors import UnknownNameError, UsageError, nearest
from picojoule.hardware.accelerator import Accelerator

_SUFFIXES = (".yaml", ".yml")


def catalogue_names() -> tuple[str, ...]:
    """Names of the built-in machines, sorted."""
    files = resources.files(__package__).joinpath("catalog").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def catalogue_text(name: str) -> str:
    """The YAML of a built-in machine, comments included.

    Args:
        name: one of ``catalogue_names()``.

    Raises:
        UnknownNameError: no machine of that name is built in.
    """
    if name not in catalogue_names():
        hint = f"{nearest(name, catalogue_names())} Or give the path of a .yaml file."
        raise UnknownNameError(f"no machine is called {name!r}", where="hardware", hint=hint)
    return resources.files(__package__).joinpath("catalog", f"{name}.yaml").read_text(encoding="utf-8")


def load_hardware(name_or_path: str | Path) -> Accelerator:
    """The machine of a YAML file, or a built-in one by name.

    What ends in ``.yaml`` or ``.yml`` is a file, what has a directory before it too; anything else is a name. After a
    colon may stand variants and settings of its parameters: ``"dpu-v2:B512"``, ``"mine.yaml:rows=32,memory=2 MiB"``.

    Args:
        name_or_path: ``"eyeriss-normalized"`` or ``"my-machine.yaml"``.

    Raises:
        UnknownNameError: neither a file nor a built-in machine.
        UsageError: a variant or parameter that it doesn't have.
        HardwareError: the file is missing or describes no sound machine; names file, line and field.
        SystemFailure: the system doesn't let us read the file.

    Example:
        >>> load_hardware("eyeriss-normalized").pes
        168
    """
    # pydantic and ruamel come in here, and not with the list of names that a --help prints.
    from picojoule.hardware.describe import accelerator_from_file, accelerator_from_text

    name, chosen = parted(str(name_or_path))
    if is_file(name_or_path, name):
        return accelerator_from_file(Path(name), chosen)
    return accelerator_from_text(catalogue_text(name), f"{name}.yaml (built in)", chosen)


def is_file(given: str | Path, name: str) -> bool:
    """Whether what was given means a file, ``name`` being it without what is chosen."""
    return isinstance(given, Path) or name.endswith(_SUFFIXES) or Path(name).name != name


def parted(text: str) -> tuple[str, str]:
    """The machine, and what is chosen of it; a colon inside of a path belongs to the path."""
    name, colon, chosen = text.rpartition(":")
    if not colon or Path(text).exists() or not (name.endswith(_SUFFIXES) or name in catalogue_names()):
        return text, ""
    if not chosen:
        hint = f"Leave the colon out, or write {name}:VARIANT or {name}:PARAMETER=VALUE."
        raise UsageError("nothing is chosen behind the colon", where=text, hint=hint)
    return name, chosen
