"""What the user calls MODEL becomes a `Network`: an existing file first, then a built-in name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from picojoule.errors import ModelError, UnknownNameError, UsageError, nearest
from picojoule.workload import Network, builtin_network, load_layer_table
from picojoule.workload.layer_table import ROW_SUFFIXES

_TABLE_SUFFIXES = (".yaml", ".yml", ".json", *ROW_SUFFIXES)
_FILE_SUFFIXES = (".onnx", *_TABLE_SUFFIXES)
_TORCH_SUFFIXES = (".pt", ".pth", ".pt2", ".ckpt", ".safetensors")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+:[A-Za-z_]\w*$")
_TO_ONNX = "Export the model with torch.onnx.export and give the .onnx file."
_ONNX_START = b"\x08"
"""Every ONNX file that a tool writes begins with the key of ``ir_version``."""


def load_model(
    model: str | os.PathLike[str] | Network, *, shape: Mapping[str, tuple[int, ...]] | None = None
) -> Network:
    """The network that ``model`` names, for the batch that it states (built-in networks: one).

    Args:
        model: an ONNX file, a layer table (YAML, JSON, SCALE-Sim's or MIT's) or a built-in name; a `Network` is handed
            back as it is.
        shape: sizes of the inputs of an ONNX file by name, batch first, for example ``{"input": (1, 3, 224, 224)}``.

    Returns:
        The network; what of it can't be costed is in ``not_costed``.

    Raises:
        UnknownNameError: there is neither a file nor a built-in network of that name.
        UsageError: the kind of model isn't supported, or ``shape`` doesn't fit it.
        ModelError: the ONNX file can't be understood.
        LayerTableError: the layer table is wrong.

    >>> load_model("resnet18").macs
    1814073344
    """
    if isinstance(model, Network):
        return _without_shape(model, model.name, shape)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"a model of type {type(model).__name__} can't be read", hint=_TO_ONNX)
    name = os.fspath(model)
    if os.path.isfile(name):
        return _read_file(Path(name), shape)
    _refuse_missing_file(name)
    if _FACTORY.match(name):
        raise UsageError(f"{name!r} looks like a Python factory, which can't be called yet", hint=_TO_ONNX)
    return _without_shape(builtin_network(name), name, shape)


def parse_shape(text: str) -> dict[str, tuple[int, ...]]:
    """Name and sizes from ``NAME=SIZExSIZE…``, as ``--shape`` takes them.

    Raises:
        UsageError: another form, or a size below 1.

    >>> parse_shape("input=1x3x224x224")
    {'input': (1, 3, 224, 224)}
    """
    name, separator, sizes = text.rpartition("=")
    parts = re.split(r"[x×,]", sizes.replace(" ", ""))
    if not separator or not name.strip() or not all(re.fullmatch(r"[0-9]{1,18}", part) and int(part) for part in parts):
        raise UsageError(
            f"{text!r} is not a shape", hint="Write the input's name and whole sizes of at least 1: input=1x3x224x224."
        )
    return {name.strip(): tuple(int(part) for part in parts)}


def _read_file(path: Path, shape: Mapping[str, tuple[int, ...]] | None) -> Network:
    suffix = path.suffix.lower()
    if suffix in _TABLE_SUFFIXES:
        return _without_shape(load_layer_table(path), str(path), shape)
    if suffix in _TORCH_SUFFIXES:
        raise UsageError(f"{suffix} files can't be read yet", where=str(path), hint=_TO_ONNX)
    if suffix != ".onnx" and not _starts_like_onnx(path):
        raise ModelError(
            f"neither an ONNX model nor a layer table, by its ending {suffix!r} and its first byte",
            where=str(path),
            hint=f"Endings that picojoule reads: {', '.join(_FILE_SUFFIXES)}.",
        )
    # onnx takes a moment to import, and built-in networks do without it.
    from picojoule.frontends.onnx_file import read_onnx

    return read_onnx(path, shape=shape)


def _starts_like_onnx(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == _ONNX_START
    except OSError:
        return True  # reading it as a model says what is wrong with it


def _without_shape(network: Network, name: str, shape: Mapping[str, tuple[int, ...]] | None) -> Network:
    if shape:
        raise UsageError(
            f"{name} has fixed shapes; a shape for {next(iter(shape))!r} can't be used",
            hint="--shape is for ONNX files; --batch sets the batch of any model.",
        )
    return network


def _refuse_missing_file(name: str) -> None:
    """Raises if ``name`` can only have been meant as a file."""
    path = Path(name)
    if os.path.isdir(name) and (os.sep in name or path.suffix.lower() in _FILE_SUFFIXES):
        raise UsageError("this is a folder; a model is a file", where=name)
    if path.suffix.lower() not in (*_FILE_SUFFIXES, *_TORCH_SUFFIXES) and os.sep not in name:
        return
    siblings = _models_beside(path)
    hint = "Give the path of an .onnx file or a layer table, or a built-in name."
    if siblings:
        hint = nearest(path.name, siblings)
    raise UnknownNameError(f"there is no file {name!r}", hint=hint)


def _models_beside(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _FILE_SUFFIXES)[:20]
    except (OSError, ValueError):
        return []
