"""The machines that come with picojoule, and how a name or path becomes a machine."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from picojoule.errors import UnknownNameError, nearest
from picojoule.hardware.accelerator import Accelerator

_SUFFIXES = (".yaml", ".yml")


def catalogue_names() -> tuple[str, ...]:
    """Names of the built-in machines, sorted."""
    files = resources.files(__package__).joinpath("catalog").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def catalogue_text(name: str) -> str:
    """The YAML of a built-in machine, comments included.

    Raises:
        UnknownNameError: no machine of that name is built in.
    """
    if name not in catalogue_names():
        hint = f"{nearest(name, catalogue_names())} Or give the path of a .yaml file."
        raise UnknownNameError(f"no machine is called {name!r}", where="hardware", hint=hint)
    return resources.files(__package__).joinpath("catalog", f"{name}.yaml").read_text(encoding="utf-8")


def load_hardware(name_or_path: str | Path) -> Accelerator:
    """The machine of a YAML file, or a built-in one by name.

    What ends in ``.yaml`` or ``.yml`` is a file, what has a directory before it too; anything else is a name.

    Args:
        name_or_path: ``"eyeriss-normalized"`` or ``"my-machine.yaml"``.

    Raises:
        UnknownNameError: neither a file nor a built-in machine.
        HardwareError: the file is missing or describes no sound machine; names file, line and field.
        SystemFailure: the system doesn't let us read the file.

    Example:
        >>> load_hardware("eyeriss-normalized").pes
        168
    """
    # pydantic and ruamel come in here, and not with the list of names that a --help prints.
    from picojoule.hardware.describe import accelerator_from_file, accelerator_from_text

    name, path = str(name_or_path), Path(name_or_path)
    if isinstance(name_or_path, Path) or name.endswith(_SUFFIXES) or path.name != name:
        return accelerator_from_file(path)
    return accelerator_from_text(catalogue_text(name), f"{name}.yaml (built in)")
