"""INT8 after training: an ONNX file in, an ONNX file in QDQ form out, by ONNX Runtime's static quantization.

Weights per channel, activations per tensor, ranges from calibration images. The ways to calibrate differ by network: all are tried
and the one that classifies best on the choosing images is kept.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np

CALIBRATIONS = ("minmax", "entropy", "percentile")


def quantize_int8(
    source: Path,
    target: Path,
    calibration: Sequence[np.ndarray | Mapping[str, np.ndarray]],
    *,
    method: str = "minmax",
    input_name: str | None = None,
) -> None:
    """Writes ``target``, the network of ``source`` with weights and activations of 8 bits.

    Args:
        source: an ONNX file in float.
        target: a new ONNX file: QDQ, opset as in ``source``.
        calibration: batches for the network's only input, as it takes them; or tables of arrays by the inputs' names.
        method: one of ``CALIBRATIONS``.
        input_name: of the input; by default the first.

    Raises:
        UsageError: unknown method, or no images.
        MissingExtraError: ONNX Runtime is not there.
    """
    if method not in CALIBRATIONS:
        raise UsageError(f"unknown calibration {method!r}; there are {', '.join(CALIBRATIONS)}", where="calibration")
    if not len(calibration):
        raise UsageError("calibration needs at least one batch of images", where="calibration")
    tools = _tools()
    import onnx

    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        # It tells of its progress on standard output, which is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            tools.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            name = input_name or onnx.load(str(prepared), load_external_data=False).graph.input[0].name
            feeds = [batch if isinstance(batch, Mapping) else {name: batch} for batch in calibration]
            tools.quantize_static(
                str(prepared),
                str(target),
                _reader(tools, _alike(feeds)),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=True,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method={
                    "minmax": tools.CalibrationMethod.MinMax,
                    "entropy": tools.CalibrationMethod.Entropy,
                    "percentile": tools.CalibrationMethod.Percentile,
                }[method],
                extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
            )


def best_calibration(
    source: Path,
    target: Path,
    calibration: Sequence[np.ndarray],
    score: Callable[[Path], float],
    methods: Sequence[str] = CALIBRATIONS,
) -> dict[str, float]:
    """Tries each calibration and leaves the file of the best score at ``target``; returns the scores."""
    scores: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for method in methods:
            attempt = Path(scratch) / f"{method}.onnx"
            quantize_int8(source, attempt, calibration, method=method)
            scores[method] = score(attempt)
        (Path(scratch) / f"{max(scores, key=lambda m: scores[m])}.onnx").replace(target)
    return scores


def _alike(feeds: Sequence[Mapping[str, np.ndarray]]) -> Sequence[Mapping[str, np.ndarray]]:
    """The same samples in batches of one size, that of the smallest: histograms are gathered of all at once."""
    import numpy as np

    sizes = [min(len(array) for array in feed.values()) for feed in feeds]
    size = min(sizes)
    if set(sizes) == {size}:
        return feeds
    whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    return [{name: array[i : i + size] for name, array in whole.items()} for i in range(0, sum(sizes) - size + 1, size)]


def _reader(tools: Any, feeds: Sequence[Mapping[str, np.ndarray]]) -> Any:
    class Batches(tools.CalibrationDataReader):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.left = iter([dict(feed) for feed in feeds])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    return Batches()


def _tools() -> Any:
    try:
        import onnxruntime.quantization as tools
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise MissingExtraError("INT8 needs ONNX Runtime", hint="pip install 'picojoule[runtime]'") from None
    tools.quant_pre_process = quant_pre_process
    return tools
