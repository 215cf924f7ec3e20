"""A bundle with stages of 8 bits, made of one in float."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from picojoule.compress.int8 import CALIBRATIONS, quantize_int8
from picojoule.errors import InputError, UsageError
from picojoule.runtime.bundle import Bundle, read_bundle
from picojoule.runtime.bundle_export import write_bundle
from picojoule.runtime.bundle_folder import check_folder
from picojoule.runtime.quantization import Quantization
from picojoule.runtime.session import Session

BATCH = 50


def quantize_bundle(
    bundle: str | os.PathLike[str] | Bundle,
    output: str | os.PathLike[str],
    calibration: np.ndarray,
    *,
    compare: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    method: str = "minmax",
    force: bool = False,
) -> Bundle:
    """Writes a bundle whose stages have weights and activations of 8 bits, and what that changed in its answers.

    Every stage is quantized by itself (static, QDQ, weights per channel); its ranges come from what the stages in float
    make of the calibration samples. What passes from stage to stage stays float32.

    Args:
        bundle: in float; with one input.
        output: the folder to make.
        calibration: samples as the network takes them; a few hundred are enough.
        compare: samples to compare the answers on; by default those of calibration.
        labels: right classes of these, for accuracies before and after.
        method: how ranges are found: ``minmax``, ``entropy`` or ``percentile``.
        force: replaces a bundle that is there.

    Returns:
        The bundle; ``manifest.quantization`` has the facts. Operating points are left out: they are of other scores.

    Raises:
        UsageError: an unknown method, or a bundle of several inputs, or of 8 bits already.
        InputError: no sample, or samples or labels that don't fit.
        BundleError: ONNX Runtime can't run what was made.
        MissingExtraError: ONNX Runtime is not there.

    Example:
        >>> import onnx.parser, tempfile
        >>> from picojoule.compress import quantize_bundle
        >>> from picojoule.runtime import export_bundle
        >>> text = '<ir_version: 9, opset_import: ["": 17]> net (float[n, 3] x) => (float[n, 3] y) { y = Relu(x) }'
        >>> folder = tempfile.TemporaryDirectory()
        >>> onnx.save(onnx.parser.parse_model(text), f"{folder.name}/net.onnx")
        >>> plain = export_bundle(f"{folder.name}/net.onnx", f"{folder.name}/plain")
        >>> x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
        >>> quantize_bundle(plain, f"{folder.name}/int8", x).manifest.quantization.calibrated_on
        64
        >>> folder.cleanup()
    """
    if method not in CALIBRATIONS:
        raise UsageError(f"unknown calibration {method!r}; there are {', '.join(CALIBRATIONS)}", where="method")
    check_folder(Path(output), force=force, option="output")
    source = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    manifest = source.manifest
    if len(manifest.inputs) != 1:
        raise UsageError(f"a bundle of one input is quantized, this one has {len(manifest.inputs)}", where="bundle")
    if manifest.quantization is not None:
        raise UsageError("its stages have 8 bits already", where="bundle")
    if not len(calibration):
        raise InputError("the calibration set is empty: ranges come from samples", where="calibration")
    compared = calibration if compare is None else compare
    if labels is not None and len(labels) != len(compared):
        raise InputError(f"{len(compared)} samples, {len(labels)} labels", where="labels")
    session = Session(source)
    step = manifest.batch or BATCH
    batches = [session.every_tensor(calibration[n : n + step]) for n in range(0, len(calibration), step)]
    models = []
    with tempfile.TemporaryDirectory() as scratch:
        for stage, content in zip(manifest.stages, source.models, strict=True):
            plain, made = Path(scratch) / "plain.onnx", Path(scratch) / "int8.onnx"
            plain.write_bytes(content)
            feeds = [{name: batch[name] for name in stage.inputs} for batch in batches]
            quantize_int8(plain, made, feeds, method=method)
            models.append(made.read_bytes())
    small = Session(replace(source, models=tuple(models)))
    before, after = ([np.concatenate(parts) for parts in zip(*_answers(one, compared, step), strict=True)] for one in (session, small))
    classes = [(a.argmax(1), b.argmax(1)) for a, b in zip(before, after, strict=True)]
    facts = Quantization(
        method=method,
        calibrated_on=len(calibration),
        compared_on=len(compared),
        agreement=tuple(float((a == b).mean()) for a, b in classes),
        max_abs_difference=tuple(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True)),
        accuracy_before=None if labels is None else tuple(float((a == labels).mean()) for a, _ in classes),
        accuracy_after=None if labels is None else tuple(float((b == labels).mean()) for _, b in classes),
    )
    return write_bundle(output, replace(manifest, operation=None, quantization=facts), models, force=force)


def _answers(session: Session, samples: np.ndarray, step: int) -> list[list[np.ndarray]]:
    """What every exit's first output is, batch by batch."""
    parts = (samples[n : n + step] for n in range(0, len(samples), step))
    return [[answer[0] for answer in session.every_exit(part)] for part in parts]
