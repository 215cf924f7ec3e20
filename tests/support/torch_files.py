"""Writes files of PyTorch networks as their users do, without the bytes of weights that nobody needs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn


def save_pt2(module: nn.Module, inputs: tuple[Any, ...], path: Path, **options: Any) -> Path:
    """The program of ``torch.export`` for ``module``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, inputs, **options), path)
    return path


def save_onnx(module: nn.Module, inputs: tuple[Any, ...], path: Path, **options: Any) -> Path:
    """The ONNX file that PyTorch writes, its weights said to lie in a file that doesn't exist."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, inputs)
        program = torch.onnx.export(exported, dynamo=True, optimize=False, verbose=False, **options)
        program.save(path, include_initializers=False)
    model = onnx.load(path, load_external_data=False)
    known = {tensor.name for tensor in model.graph.initializer}
    kinds = {torch.float32: onnx.TensorProto.FLOAT, torch.int64: onnx.TensorProto.INT64}
    for name, tensor in exported.state_dict.items():
        if name not in known:
            stub = model.graph.initializer.add(name=name, dims=tensor.shape, data_type=kinds[tensor.dtype])
            stub.data_location = onnx.TensorProto.EXTERNAL
            stub.external_data.add(key="location", value="no-such-file.bin")
    path.write_bytes(model.SerializeToString())
    return path
