"""What a compression leaves: weights as safetensors, the network as ONNX and as a bundle, all checked against the module in memory."""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import MissingExtraError, SystemFailure
from picojoule.frontends.onnx_export import drop_stack_traces
from picojoule.runtime import export_bundle
from picojoule.runtime.manifest import Preprocessing
from picojoule.train.checkpoint import load_tensors, save_tensors
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

WEIGHTS, FLOAT, INT8, BUNDLE = "network.safetensors", "float32.onnx", "int8.onnx", "bundle"
ORIGINAL, SAMPLES, INPUT = "original.onnx", "samples.npz", "input"
PARITY = 1e-3
"""Largest difference of logits between PyTorch and ONNX Runtime, of the largest logit."""


SMALLEST = 1e-20
"""Values nearer to 0 become 0: filters that died in training decay into denormal numbers, which processors compute 10 times slower."""


def flush(module: torch.nn.Module) -> None:
    """Makes values of weights and statistics exact zeros, in place, where products of theirs would be denormal."""
    torch = import_torch()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.masked_fill_(tensor.abs() < SMALLEST, 0.0)


def samples_file(folder: Path, batches: Sequence[Any], count: int = 128) -> Path:
    """The first ``count`` calibration inputs as an ``.npz`` file, to measure zeros of activations on."""
    import numpy as np

    path = folder / SAMPLES
    if not path.exists():
        whole = import_torch().cat([batch.detach().cpu() for batch in batches])[:count]
        temporary = folder / ".samples.npz"
        np.savez(temporary, input=whole.contiguous().numpy())
        temporary.replace(path)
    return path


def hand_over(
    module: torch.nn.Module,
    example: Any,
    folder: Path,
    facts: dict[str, Any],
    preprocessing: Preprocessing | None = None,
) -> dict[str, str]:
    """Writes weights, an ONNX file with a free batch, and a bundle; reloads all and compares. Flushes the module's denormals first.

    Returns:
        The files by what they are.

    Raises:
        SystemFailure: what was written isn't what was in memory.
        MissingExtraError: ONNX export is not installed.
    """
    torch = import_torch()
    flush(module)
    path = folder / WEIGHTS
    save_tensors(path, module.state_dict(), facts)
    again, _ = load_tensors(path)
    if not all(torch.equal(again[name], tensor.detach().cpu()) for name, tensor in module.state_dict().items()):
        raise SystemFailure("weights read back differ from those written", where=str(path))
    export_onnx(module, example, folder / FLOAT)
    with quiet():
        export_bundle(
            folder / FLOAT, folder / BUNDLE, preprocess=preprocessing, shape={INPUT: tuple(example.shape)}, tolerance=PARITY,
            force=True,
        )  # fmt: skip
    return {"weights": WEIGHTS, "onnx": FLOAT, "bundle": BUNDLE}


def export_onnx(module: torch.nn.Module, example: Any, path: Path, *, outputs: Sequence[str] = ("output",)) -> float:
    """Writes the network as ONNX with a free batch. Returns the largest difference to PyTorch, of the largest output.

    Args:
        module: returns one tensor, or as many as there are outputs.
        example: an input of batch 1.
        path: of the file.
        outputs: their names.

    Raises:
        SystemFailure: ONNX Runtime computes something else.
    """
    import onnx

    torch = import_torch()
    module = module.to(memory_format=torch.contiguous_format).eval()
    twice = torch.cat([example, example])
    with quiet(), torch.no_grad():
        torch.onnx.export(
            module,
            (twice,),
            str(path),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    written = onnx.load(path)
    drop_stack_traces(written.graph)
    onnx.save(written, path)
    x = torch.randn(3, *example.shape[1:], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = module(x)
    theirs = _session(path).run(None, {INPUT: x.numpy()})
    difference = max(
        float((mine - torch.from_numpy(other)).abs().max() / mine.abs().max().clamp_min(1e-12))
        for mine, other in zip([own] if isinstance(own, torch.Tensor) else own, theirs, strict=True)
    )
    if difference > PARITY:
        raise SystemFailure(f"ONNX Runtime's results differ by {difference:.1e} of the largest", where=str(path))
    return difference


def measured_ms(path: Path, shape: Sequence[int], *, against: Path | None = None, repeats: int = 101) -> list[float]:
    """Median milliseconds of an ONNX file at that input shape on one thread; with ``against``, of both, run in turn."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=tuple(shape)).astype(np.float32)
    sides = [_session(one) for one in (path, against) if one is not None]
    names = [side.get_inputs()[0].name for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    for index in range(repeats + 5):
        for side, name, taken in zip(sides, names, times, strict=True):
            began = time.perf_counter()
            side.run(None, {name: x})
            if index >= 5:
                taken.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(taken) for taken in times]


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError(
            "running ONNX files needs ONNX Runtime", hint="pip install 'picojoule[runtime]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def quiet() -> Any:
    """Keeps exporters from talking on standard output, which is for results."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def as_module(path: Path) -> torch.nn.Module:
    """An ONNX file of one input and one output to be called like a module: for what judges networks."""
    torch = import_torch()
    session = _session(path)
    name = session.get_inputs()[0].name

    class OnnxNetwork(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            # Who judges asks a parameter for the device.
            self.place = torch.nn.Parameter(torch.zeros(1), requires_grad=False)

        def forward(self, x: Any) -> Any:
            return torch.from_numpy(session.run(None, {name: x.contiguous().numpy()})[0])

    return OnnxNetwork().eval()
