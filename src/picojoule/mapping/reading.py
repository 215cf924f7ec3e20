"""Reads the file of ``estimate --mapping FILE``: mappings in our own JSON, in a result file, or in Timeloop's text."""

from __future__ import annotations

import json
from collections.abc import Mapping as Table
from pathlib import Path

from picojoule.errors import MappingError, PicojouleError, SystemFailure, UsageError, nearest
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.mapping import Mapping
from picojoule.mapping.timeloop import looks_like_timeloop, parse_timeloop_mapping
from picojoule.workload.nest import Nest


def read_mapping_file(
    path: str | Path,
    accelerator: Accelerator,
    nests: Table[str, Nest],
    *,
    level_names: Table[str, str] | None = None,
) -> dict[str, Mapping]:
    """The mappings in a file, by the name of the layer they are for.

    The file holds one of these:

    * a list of nodes, as under ``mapping`` in a result file: for the only layer (or for layers that are all alike);
    * ``{"layer name": [nodes], …}``;
    * a whole result file: its layers are found by name;
    * Timeloop's mapping text: for every layer whose dimensions are those of its loops.

    Layers that the file says nothing about are left out of the answer. That a mapping is legal is not checked here
    (see ``mapping.legality``).

    Args:
        path: the file.
        accelerator: the machine; Timeloop's text is read against its levels and fan-outs.
        nests: the layers to find mappings for, by name.
        level_names: Timeloop's name of a level → ours, where they differ.

    Raises:
        UsageError: there is no such file.
        SystemFailure: the file can't be read.
        MappingError: what is in it is malformed, or is for none of the layers.
    """
    where = str(path)
    text = _text(Path(path))
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(text, nests, where)
    if looks_like_timeloop(text):
        return _from_timeloop(text, accelerator, nests, level_names, where)
    raise MappingError(
        "this is neither JSON nor a mapping as Timeloop prints it",
        where=where,
        hint='Give a list of nodes, {"layer name": [nodes]}, a result file, or Timeloop\'s mapping text.',
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError("no such mapping file", where=str(path)) from None
    except UnicodeDecodeError:
        raise MappingError("the mapping file is not text (UTF-8)", where=str(path)) from None
    except OSError as error:
        raise SystemFailure(f"the mapping file can't be read: {error.strerror or error}", where=str(path)) from None


def _from_json(text: str, nests: Table[str, Nest], where: str) -> dict[str, Mapping]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise MappingError(f"not JSON: {error.msg}", where=f"{where}, line {error.lineno}") from None
    except RecursionError:
        raise MappingError("not a mapping: nested too deeply", where=where) from None
    if isinstance(data, list):
        return _for_all(data, nests, where)
    if "layers" in data and "layers" not in nests:
        by_name = _result_layers(data["layers"], where)
    else:
        by_name = data
    if not by_name:
        raise MappingError("there is no mapping in this file", where=where)
    found = {}
    for name, nodes in by_name.items():
        if name not in nests:
            hint = nearest(name, nests) if nests else ""
            raise MappingError(f"no layer {name!r} in the model", where=where, hint=hint)
        found[name] = Mapping.from_data(nodes, sizes=nests[name].dims, where=f"{where}: {name}")
    return found


def _result_layers(layers: object, where: str) -> dict[str, object]:
    """Nodes of every layer of a result file that has a mapping; a layer solved as another one has that one's."""
    if not isinstance(layers, list):
        raise MappingError(f"layers is a list in a result file, got {type(layers).__name__}", where=where)
    by_name: dict[str, object] = {}
    for i, layer in enumerate(layers):
        if not isinstance(layer, dict) or not isinstance(layer.get("name"), str):
            raise MappingError("a layer of a result file is a table with a name", where=f"{where}: layers[{i}]")
        nodes = layer.get("mapping")
        if nodes is None and isinstance(layer.get("same_as"), str):
            nodes = by_name.get(layer["same_as"])
        if nodes is not None:
            by_name[layer["name"]] = nodes
    return by_name


def _for_all(nodes: list[object], nests: Table[str, Nest], where: str) -> dict[str, Mapping]:
    Mapping.from_data(nodes, where=where)  # what is no mapping is for no layer
    if not nests:
        raise MappingError("no layer of the model is a nest that a mapping could be for", where=where)
    if len(set(nests.values())) > 1:
        raise MappingError(
            f"one mapping is given, the model has {len(nests)} layers",
            where=where,
            hint='Say which layer it is for: {"layer name": [nodes]}.',
        )
    sizes = next(iter(nests.values())).dims
    return dict.fromkeys(nests, Mapping.from_data(nodes, sizes=sizes, where=where))


def _from_timeloop(
    text: str,
    accelerator: Accelerator,
    nests: Table[str, Nest],
    level_names: Table[str, str] | None,
    where: str,
) -> dict[str, Mapping]:
    found: dict[str, Mapping] = {}
    plain, dims = parse_timeloop_mapping(text, accelerator, level_names=level_names, where=where)
    for name, nest in nests.items():
        if nest.dims == dims:
            found[name] = plain
        elif nest.G > 1 and nest.K == nest.C == 1:
            try:
                grouped, sizes = parse_timeloop_mapping(
                    text, accelerator, level_names=level_names, depthwise=True, where=where
                )
            except PicojouleError:
                continue  # Channels on M and on C at once: not a mapping of a depthwise layer.
            if nest.dims == sizes:
                found[name] = grouped
    if not found:
        layers = "; ".join(f"{name} has {_sizes(nest.dims)}" for name, nest in list(nests.items())[:3])
        raise MappingError(
            f"the loops add up to {_sizes(dims)}, which is no layer of the model",
            where=where,
            hint=(layers + (f"; and {len(nests) - 3} more." if len(nests) > 3 else ".")) if layers else "",
        )
    return found


def _sizes(dims: dict[str, int]) -> str:
    return " ".join(f"{dim}{size}" for dim, size in dims.items() if size > 1) or "1 MAC"
