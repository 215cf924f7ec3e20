"""Reads the files that ``torch.export.save`` writes, without torch and without unpickling anything.

Such a file is a zip archive that describes the program in JSON; its weights lie beside that, as plain bytes or pickled.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError, SystemFailure
from picojoule.frontends.torch_calls import Call, Constant, Program, Ref, Size, single_calls, target_of

if TYPE_CHECKING:
    import numpy as np

NEWEST_SCHEMA = 8
"""Major version of the JSON that this reader knows; PyTorch changes it when older readers would go wrong."""

NEWEST_ARCHIVE = 0
"""Version of the archive's own layout; files from before it was numbered have none."""

LARGEST_DESCRIPTION_BYTES = 2**30
_MODEL = re.compile(r"(?:[^/]*/)?(?:models/[^/]*|serialized_exported_program)\.json$")
_WEIGHTS = re.compile(r"(?:[^/]*/)?data/weights/[^/]*_config\.json$")
_CONSTANTS = re.compile(r"(?:[^/]*/)?data/constants/[^/]*_config\.json$")
_ARCHIVE_VERSION = re.compile(r"(?:[^/]*/)?archive_version$")
_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_SAVE_IT = "Write it with torch.export.save(torch.export.export(module, example_inputs), FILE)."


def read_archive(path: Path) -> Program:
    """The program in a ``.pt2`` file.

    Raises:
        ModelError: the file is none that ``torch.export.save`` writes, of a newer version, or damaged.
        SystemFailure: the file can't be read.
    """
    label = str(path)
    try:
        if not zipfile.is_zipfile(path):
            raise ModelError(_what_it_is(path), where=label, hint=_SAVE_IT)
        with zipfile.ZipFile(path) as archive:
            _check_layout(archive, label)
            document = _description(archive, label)
            weights = _weight_config(archive, label)
    except zipfile.BadZipFile as problem:
        raise ModelError(f"the archive is damaged: {problem}", where=label, hint="Save or download it again.") from None
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=label) from problem
    version = document.get("schema_version")
    major = version.get("major") if isinstance(version, dict) else None
    if not isinstance(major, int):
        raise ModelError("it doesn't say which version of torch.export wrote it", where=label, hint=_SAVE_IT)
    if major > NEWEST_SCHEMA:
        raise ModelError(
            f"it was written by PyTorch {document.get('torch_version', '?')} with schema version {major};"
            f" up to {NEWEST_SCHEMA} can be read",
            where=label,
            hint="Upgrade picojoule, or export the model with an older PyTorch.",
        )
    try:
        program = _program(document["graph_module"], _places(weights))
        return replace(program, ranges=_ranges(document.get("range_constraints", {})))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as problem:
        raise ModelError(
            f"its description of the program makes no sense ({type(problem).__name__}: {problem})",
            where=label,
            hint="The file may be damaged; save or download it again.",
        ) from problem


def read_weights(path: Path, names: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The parameters, buffers and constants ``names`` of the program in a ``.pt2`` file, one after the other.

    Raises:
        ModelError: they are pickled, have no values, or lie in the file otherwise than it says.
        SystemFailure: the file can't be read.
    """
    label = str(path)
    missing = set(names)
    try:
        with zipfile.ZipFile(path) as archive:
            for place in (name for name in archive.namelist() if _WEIGHTS.match(name) or _CONSTANTS.match(name)):
                for name, entry in _json(archive, place, label)["config"].items():
                    if name in missing:
                        missing.remove(name)
                        yield name, _array(archive, f"{place.rpartition('/')[0]}/{entry['path_name']}", entry)
    except (KeyError, TypeError, AttributeError, ValueError, zipfile.BadZipFile, zipfile.zlib.error) as problem:
        raise ModelError(f"its weights can't be read: {problem}", where=label, hint=_SAVE_IT) from problem
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=label) from problem
    if missing:
        raise ModelError(f"the weights {min(missing)!r} are not in it as plain bytes", where=label, hint=_SAVE_IT)


def _array(archive: zipfile.ZipFile, member: str, entry: dict[str, Any]) -> np.ndarray:
    """The tensor that ``entry`` describes; ValueError says why there is none."""
    import ml_dtypes  # with onnx; numpy itself knows no bfloat16
    import numpy as np

    meta = entry["tensor_meta"]
    if meta["device"]["type"] == "meta":
        raise ValueError("they lie on the meta device and have no values")
    if entry["use_pickle"]:
        raise ValueError("they are pickled, and pickles are never loaded")
    kind = _TYPES.get(meta["dtype"], "?")
    dtype = np.dtype(getattr(ml_dtypes, kind, kind))
    sizes, strides = (tuple(size["as_int"] for size in meta[key]) for key in ("sizes", "strides"))
    first = meta["storage_offset"]["as_int"]
    # numpy strides over its own types only.
    held = dtype if dtype.isbuiltin == 1 else np.dtype(f"u{dtype.itemsize}")
    stored = np.frombuffer(archive.read(member), dtype=np.uint8)
    stored = stored[: len(stored) // dtype.itemsize * dtype.itemsize].view(held)
    last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if 0 in sizes:
        return np.zeros(sizes, dtype)
    if min((first, *sizes, *strides)) < 0 or last >= len(stored):
        raise ValueError(f"{member} holds {len(stored)} elements, and element {last} belongs to a tensor in it")
    return np.lib.stride_tricks.as_strided(
        stored[first:], sizes, [stride * dtype.itemsize for stride in strides], writeable=False
    ).view(dtype)


def _check_layout(archive: zipfile.ZipFile, label: str) -> None:
    """Raises ModelError for an archive whose layout is newer than this reader."""
    place = next((name for name in archive.namelist() if _ARCHIVE_VERSION.match(name)), None)
    if place is None:
        return
    version = archive.read(place)[:20].decode("ascii", "replace").strip()
    if not version.isdecimal() or int(version) > NEWEST_ARCHIVE:
        raise ModelError(
            f"its archive has version {version!r}; up to {NEWEST_ARCHIVE} can be read",
            where=label,
            hint="Upgrade picojoule, or export the model with an older PyTorch.",
        )


def _ranges(stated: dict[str, dict[str, int | None]]) -> dict[str, tuple[int | None, int | None]]:
    """From and to which number each open size may go."""
    return {symbol: (entry.get("min_val"), entry.get("max_val")) for symbol, entry in stated.items()}


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(20)
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-"):
        return "this is a Git LFS pointer, not the model"
    if start[:1] == b"\x80":
        return "this is a pickle, not a program of torch.export; pickles are never loaded, since they can run code"
    return "this is no program of torch.export: not a zip archive, or cut off"


def _description(archive: zipfile.ZipFile, label: str) -> dict[str, Any]:
    names = archive.namelist()
    found = [name for name in names if _MODEL.match(name)]
    if not found:
        pickled = any(name.endswith("data.pkl") for name in names)
        raise ModelError(
            "this is a pickle (torch.save or TorchScript), not a program of torch.export; pickles are never loaded,"
            " since they can run code"
            if pickled
            else "this zip archive holds no program of torch.export",
            where=label,
            hint=_SAVE_IT,
        )
    document = _json(archive, found[0], label)
    if len(found) > 1 or not isinstance(document, dict):
        raise ModelError(f"it holds {len(found)} programs; one is allowed", where=label)
    return document


def _json(archive: zipfile.ZipFile, name: str, label: str) -> Any:
    if archive.getinfo(name).file_size > LARGEST_DESCRIPTION_BYTES:
        raise ModelError(f"its description takes more than {LARGEST_DESCRIPTION_BYTES} bytes", where=label)
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError, EOFError, zipfile.zlib.error) as problem:
        raise ModelError(f"{name} in it is damaged: {problem}", where=label) from None


def _weight_config(archive: zipfile.ZipFile, label: str) -> dict[str, Any]:
    found = next((name for name in archive.namelist() if _WEIGHTS.match(name)), None)
    return _json(archive, found, label) if found else {"config": {}}


def _places(weights: dict[str, Any]) -> dict[str, str]:
    """Where in the archive each parameter lies: one under two names lies there once. Those without data lie nowhere."""
    places = {}
    for name, entry in weights["config"].items():
        meta = entry["tensor_meta"]
        if meta["device"]["type"] != "meta":
            places[name] = str((entry["path_name"], meta["sizes"], meta["strides"], meta["storage_offset"]))
    return places


def _program(module: dict[str, Any], places: dict[str, str]) -> Program:
    program = _graph(module["graph"])
    parameters, inputs, learned = {}, [], set()
    first: dict[str, str] = {}
    one = {name: first.setdefault(place, name) for name, place in places.items()}
    for entry in module["signature"]["input_specs"]:
        ((kind, spec),) = entry.items()
        argument = spec.get("arg", {})
        if kind == "user_input":
            if "as_tensor" in argument:
                inputs.append(argument["as_tensor"]["name"])
        elif isinstance(argument, dict) and "name" in argument:
            own = next((value for key, value in spec.items() if key.endswith("_name")), argument["name"])
            parameters[argument["name"]] = own
            if kind == "parameter":
                learned.add(argument["name"])
    names = {own: name for name, own in parameters.items()}
    kept = {
        names.get(str(spec.get("buffer_name")), "")
        for entry in module["signature"].get("output_specs", ())
        for kind, spec in entry.items()
        if kind == "buffer_mutation"
    }
    return Program(
        inputs=tuple(inputs),
        parameters=parameters,
        same={own: one.get(own, own) for own in parameters.values()},
        learned=frozenset(learned),
        kept=frozenset(filter(None, kept)),
        sizes=program.sizes,
        types=program.types,
        outputs=program.outputs,
        calls=program.calls,
    )


def _graph(graph: dict[str, Any]) -> Program:
    numbers = {name: _size(value) for name, value in graph.get("sym_int_values", {}).items()}
    tensors = graph.get("tensor_values", {})
    return Program(
        inputs=tuple(name for entry in graph["inputs"] for name in _tensor_names(entry) or ("",)),
        sizes={name: tuple(_size(size) for size in meta["sizes"]) for name, meta in tensors.items()},
        types={name: _TYPES.get(meta["dtype"], "?") for name, meta in tensors.items()},
        outputs=tuple(name for entry in graph["outputs"] for name in _tensor_names(entry)),
        calls=tuple(call for node in graph["nodes"] for call in single_calls(_call(node, numbers))),
    )


def _call(node: dict[str, Any], numbers: dict[str, Size]) -> Call:
    outputs = tuple(name for entry in node["outputs"] for name in _tensor_names(entry))
    metadata = node.get("metadata", {})
    return Call(
        target=target_of(str(node["target"])),
        name=str(node.get("name") or next(iter(outputs), node["target"])),
        arguments={
            entry["name"] or str(index): _value(entry["arg"], numbers) for index, entry in enumerate(node["inputs"])
        },
        outputs=outputs,
        modules=_modules(metadata.get("nn_module_stack", "")),
        trace=str(metadata.get("stack_trace", "")),
    )


def _modules(stack: str) -> tuple[tuple[str, str], ...]:
    entries = [entry.split(",", 2) for entry in stack.split(";") if entry.count(",") >= 2]
    return tuple((path, kind) for _, path, kind in entries if not path.startswith("_empty_nn_module"))


def _tensor_names(entry: dict[str, Any]) -> list[str]:
    if "as_tensor" in entry:
        return [entry["as_tensor"]["name"]]
    if "as_tensors" in entry:
        return [tensor["name"] for tensor in entry["as_tensors"]]
    return []


def _size(size: dict[str, Any]) -> Size:
    return size["as_int"] if "as_int" in size else str(size["as_expr"]["expr_str"])


def _value(argument: dict[str, Any], numbers: dict[str, Size]) -> Any:
    ((kind, value),) = argument.items()
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return Ref(value["name"])
    if kind == "as_tensors":
        return [Ref(tensor["name"]) for tensor in value]
    if kind == "as_optional_tensors":
        return [Ref(entry["as_tensor"]["name"]) if "as_tensor" in entry else None for entry in value]
    if kind == "as_optional_tensor":
        return Ref(value["as_tensor"]["name"]) if "as_tensor" in value else None
    if kind == "as_scalar_type":
        return Constant("dtype", _TYPES.get(value, "?"))
    if kind == "as_memory_format":
        return Constant("memory_format", _MEMORY_FORMATS.get(value, "?"))
    if kind in ("as_layout", "as_device"):
        return Constant(kind.removeprefix("as_"), str(value))
    if kind == "as_graph":
        return _graph(value["graph"])
    if kind == "as_sym_int":
        return value["as_int"] if "as_int" in value else numbers.get(value["as_name"])
    if kind == "as_sym_ints":
        return [entry["as_int"] if "as_int" in entry else numbers.get(entry["as_name"]) for entry in value]
    return value
