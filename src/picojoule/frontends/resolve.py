"""What the user calls MODEL becomes a `Network`: an existing file first, then a built-in name, then a factory."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError, UnknownNameError, UsageError, nearest
from picojoule.workload import Network, builtin_network, load_layer_table
from picojoule.workload.layer_table import ROW_SUFFIXES
from picojoule.workload.network import WEIGHTLESS
from picojoule.workload.zeros import parse_zeros

if TYPE_CHECKING:
    import torch

    from picojoule.frontends.activations import Measured

    Model = str | os.PathLike[str] | Network | torch.nn.Module | torch.export.ExportedProgram
    """What MODEL may be."""

_TABLE_SUFFIXES = (".yaml", ".yml", ".json", *ROW_SUFFIXES)
_FILE_SUFFIXES = (".onnx", ".pt2", *_TABLE_SUFFIXES)
_WEIGHT_SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")
_TO_EXPORT = (
    "Export the network with torch.export.save(torch.export.export(module, inputs), 'net.pt2'),"
    " or with torch.onnx.export."
)
_ONNX_START = b"\x08"
"""Every ONNX file that a tool writes begins with the key of ``ir_version``."""


def load_model(
    model: Model,
    example_input: Any = None,
    *,
    shape: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """The network that ``model`` names, for the batch that it states (built-in networks: one).

    Args:
        model: an ONNX file, a program of ``torch.export`` (a ``.pt2`` file or in memory), a layer table (YAML,
            JSON, SCALE-Sim's or MIT's), a built-in name, a factory ``package.module:factory``, or an ``nn.Module``; a
            `Network` is handed back as it is.
        example_input: what an ``nn.Module`` is called with: a tensor, a tuple of positional or a dict of named
            arguments.
        shape: sizes of the inputs by name, batch first, for example ``{"input": (1, 3, 224, 224)}``: those that an ONNX
            file or a program leaves open, or arguments of ``forward``.

    Returns:
        The network; what of it can't be costed is in ``not_costed``.

    Raises:
        UnknownNameError: there is neither a file nor a built-in network of that name.
        UsageError: the kind of model isn't supported, or ``shape`` doesn't fit it.
        ModelError: the model can't be understood.
        LayerTableError: the layer table is wrong.
        MissingExtraError: PyTorch is needed and not installed.

    >>> load_model("resnet18").macs
    1814073344
    """
    # Looking a type up by name: a network that is no torch model needs no torch.
    from picojoule.frontends.torch_trace import is_torch_model

    if is_torch_model(model):
        return _from_torch(model, example_input, shape, type(model).__name__)
    if isinstance(model, str) and is_factory(model):
        from picojoule.frontends.factory import call_factory

        made, example = call_factory(model)
        name = model.rpartition(":")[2]
        return _from_torch(made, example if example_input is None else example_input, shape, name)
    if example_input is not None:
        raise UsageError(
            "an example input is for an nn.Module",
            where="example_input",
            hint="--shape gives the sizes of a file's inputs.",
        )
    if isinstance(model, Network):
        return _without_shape(model, model.name, shape)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"a model of type {type(model).__name__} can't be read", hint=_TO_EXPORT)
    name = os.fspath(model)
    if os.path.isfile(name):
        return _read_file(Path(name), shape)
    _refuse_missing_file(name)
    return _without_shape(builtin_network(name), name, shape)


def is_factory(name: str) -> bool:
    """Whether ``name`` is neither a file nor a built-in network, and names a factory in a Python module."""
    if not _FACTORY.fullmatch(name) or os.path.isfile(name):
        return False
    module = name.partition(":")[0]
    try:
        builtin_network(name)
    except UnknownNameError:
        if "." in module:
            return True
        # Families of built-in networks have a colon, too: an unknown one is a slip of the pen unless there is such a
        # module.
        return os.path.exists(f"{module}.py") or os.path.isdir(module) or importlib.util.find_spec(module) is not None
    return False


def _from_torch(
    model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None, name: str
) -> Network:
    from picojoule.frontends.torch_graph import network_of
    from picojoule.frontends.torch_trace import evaluation_mode, export_module, from_exported, refuse_difference

    exported, closing, source = _exported(model, example_input, shape, name)
    network = network_of(from_exported(exported), name=name, label=name, shape=closing, source=source)
    if not hasattr(model, "graph_signature") and any(part.training for part in model.modules()):
        # What training turns into other operators was refused above; a branch of the user's own shows here.
        with evaluation_mode(model):
            plain = from_exported(export_module(model, example_input, shape, name))
            refuse_difference(network, network_of(plain, name=name, label=name, shape=None, source=source), name)
    return network


def _exported(
    model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None, name: str
) -> tuple[Any, Mapping[str, tuple[int, ...]] | None, str]:
    """The program of a module or program in memory, the shapes that it leaves to be given, and what it is."""
    from picojoule.frontends.torch_trace import export_module

    if not hasattr(model, "graph_signature"):
        return export_module(model, example_input, shape, name), None, "an nn.Module"
    if example_input is not None:
        raise UsageError("an exported program has its inputs already", where="example_input")
    return model, shape, "an exported program"


def load_zeros(
    model: Model,
    example_input: Any = None,
    *,
    network: Network,
    sparsity: str,
    data: str | os.PathLike[str] | None = None,
    shape: Mapping[str, tuple[int, ...]] | None = None,
) -> Measured:
    """The shares of zeros in the tensors of the layers of ``network``.

    Args:
        model: that ``network`` was read from, as `load_model` takes it.
        example_input: as `load_model` takes it.
        network: what `load_model` gave for them.
        sparsity: ``given``: those that a layer table states, or of the weights in the model; ``measured``: of
            activations, too, on ``data``; or shares for all layers, ``"weights=0.3,inputs=0.5"``.
        data: a folder of images or an ``.npz`` file, see `samples.read_samples`.
        shape: as `load_model` takes it.

    Raises:
        UsageError: the model holds neither zeros nor weights, or can't be run.
        ModelError, InputError: see `activations`.
    """
    from picojoule.frontends.activations import Measured, zeros_of_archive, zeros_of_module, zeros_of_onnx

    if sparsity not in ("given", "measured"):
        return Measured(zeros=_everywhere(parse_zeros(sparsity), network), samples=None)
    place = None if data is None else Path(data)
    stated = {
        layer.name: {tensor: getattr(layer.zeros, tensor) for tensor in ("weights", "inputs", "outputs")}
        for layer in network.layers
        if layer.zeros
    }
    if stated and sparsity == "given":
        return Measured(zeros=stated, samples=None)
    if isinstance(model, str) and is_factory(model):
        from picojoule.frontends.factory import call_factory

        model, example = call_factory(model)
        example_input = example if example_input is None else example_input
    from picojoule.frontends.torch_trace import from_exported, is_torch_model

    if is_torch_model(model):
        from picojoule.frontends.torch_graph import graph_of

        exported, shape, _ = _exported(model, example_input, shape, network.name)
        program = from_exported(exported)
        graph = graph_of(program, label=network.name, shape=shape)
        return zeros_of_module(exported, graph, program, data=place, label=network.name)
    if isinstance(model, str | os.PathLike) and network.variant.startswith("ONNX "):
        return zeros_of_onnx(Path(model), shape=shape, data=place)
    if isinstance(model, str | os.PathLike) and os.fspath(model).lower().endswith(".pt2"):
        return zeros_of_archive(Path(model), shape=shape, data=place)
    raise UsageError(
        f"{network.name} has no weights and states no zeros",
        where="sparsity",
        hint="Zeros come from a layer table, an ONNX or .pt2 file or an nn.Module.",
    )


def _everywhere(shares: Mapping[str, float], network: Network) -> dict[str, dict[str, float]]:
    """The same shares in every layer; of weights only where there are any."""
    own = {
        layer.name: {
            tensor: share
            for tensor, share in shares.items()
            if tensor != "weights" or (layer.nest is not None and layer.kind != WEIGHTLESS)
        }
        for layer in network.layers
    }
    return {name: known for name, known in own.items() if known}


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
    if suffix == ".pt2":
        from picojoule.frontends.torch_archive import read_archive
        from picojoule.frontends.torch_graph import network_of

        source = f"the model file {path.name}"
        return network_of(read_archive(path), name=path.stem, label=str(path), shape=shape, source=source)
    if suffix in _WEIGHT_SUFFIXES:
        raise ModelError(
            f"{suffix} files hold weights or pickled code, not a network; pickles are never loaded",
            where=str(path),
            hint=_TO_EXPORT,
        )
    if suffix != ".onnx" and not _starts_like_onnx(path):
        raise ModelError(
            f"neither an ONNX model, a .pt2 program nor a layer table, by its ending {suffix!r} and its first byte",
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
            hint="--shape is for ONNX files and torch models; --batch sets the batch of any model.",
        )
    return network


def _refuse_missing_file(name: str) -> None:
    """Raises if ``name`` can only have been meant as a file."""
    path = Path(name)
    if os.path.isdir(name) and (os.sep in name or path.suffix.lower() in _FILE_SUFFIXES):
        raise UsageError("this is a folder; a model is a file", where=name)
    if path.suffix.lower() not in (*_FILE_SUFFIXES, *_WEIGHT_SUFFIXES) and os.sep not in name:
        return
    siblings = _models_beside(path)
    hint = "Give the path of an .onnx or .pt2 file or a layer table, or a built-in name."
    if siblings:
        hint = nearest(path.name, siblings)
    raise UnknownNameError(f"there is no file {name!r}", hint=hint)


def _models_beside(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _FILE_SUFFIXES)[:20]
    except (OSError, ValueError):
        return []
