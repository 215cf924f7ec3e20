"""The ONNX file that a model is, or one that is written for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picojoule.errors import UnknownNameError, UsageError

_NOT_RUN = (".pt2", ".pt", ".pth", ".ckpt", ".safetensors", ".yaml", ".yml", ".json", ".csv")


@contextmanager
def onnx_file(model: Any, example_input: Any, shape: Mapping[str, tuple[int, ...]] | None) -> Iterator[Path]:
    """The ONNX file that ``model`` is, or one that is written for it meanwhile.

    Raises:
        UnknownNameError: there is no such file.
        UsageError: it can't become ONNX.
    """
    # Looking a type up by name: an ONNX file needs no torch.
    from picojoule.frontends.resolve import is_factory
    from picojoule.frontends.torch_trace import is_torch_model

    if isinstance(model, str | os.PathLike) and (os.path.isfile(model) or not is_factory(os.fspath(model))):
        yield _checked(Path(model))
        return
    if isinstance(model, str):
        from picojoule.frontends.factory import call_factory

        made, example = call_factory(model)
        model, example_input = made, example if example_input is None else example_input
    if not is_torch_model(model):
        raise UsageError(
            f"a model of type {type(model).__name__} can't be run", hint="An ONNX file, a factory, or an nn.Module."
        )
    from picojoule.frontends.onnx_export import export_onnx

    exported = export_onnx(model, example_input, shape=shape, label=type(model).__name__)
    with tempfile.TemporaryDirectory() as folder:
        import onnx

        path = Path(folder, "model.onnx")
        onnx.save(exported.model, path)
        yield path


def _checked(path: Path) -> Path:
    name = str(path)
    if path.is_file():
        if path.suffix.lower() in _NOT_RUN:
            raise UsageError(
                f"{path.suffix} files can't be run by ONNX Runtime",
                where=name,
                hint="Write an ONNX file: torch.onnx.export(module, inputs, 'net.onnx', dynamo=True).",
            )
        return path
    from picojoule.workload import builtin_network

    try:
        builtin_network(name)
    except UnknownNameError:
        raise UnknownNameError(
            f"there is no file {name!r}", hint="Give the path of an ONNX file, or package.module:factory."
        ) from None
    raise UsageError(
        f"{name} is a built-in network: shapes of layers, with no graph between them that could be run",
        where="MODEL",
        hint="Give an ONNX file of it, or package.module:factory.",
    )
