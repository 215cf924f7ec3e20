"""INT8 of ResNet-20: calibrations compared, accuracy, and time against float32 in ONNX Runtime, paired."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

from picojoule.compress.int8 import best_calibration

ROOT = Path(__file__).resolve().parents[2]


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_accuracy(path: Path, part: object) -> float:
    """Share of images classified right by an ONNX file."""
    network = session(path)
    name = network.get_inputs()[0].name
    right = 0
    for first in range(0, len(part), 250):
        x = subject.normalised(part.pixels[first : first + 250]).contiguous().numpy()
        right += int((network.run(None, {name: x})[0].argmax(1) == part.labels[first : first + 250]).sum())
    return right / len(part)


def paired(first: Path, second: Path, batch: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds of each (median), and the median of the ratios first ÷ second of runs in turn."""
    x = np.random.default_rng(0).normal(size=(batch, 3, 32, 32)).astype(np.float32)
    sides = [session(path) for path in (first, second)]
    names = [side.get_inputs()[0].name for side in sides]
    times = []
    for index in range(repeats + 5):
        row = []
        for side, name in zip(sides, names, strict=True):
            began = time.perf_counter()
            side.run(None, {name: x})
            row.append(time.perf_counter() - began)
        if index >= 5:
            times.append(row)
    array = np.array(times) * 1e3
    return float(np.median(array[:, 0])), float(np.median(array[:, 1])), float(np.median(array[:, 0] / array[:, 1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = subject.images(given.shared)
    folder = given.runs / "int8"
    folder.mkdir(parents=True, exist_ok=True)
    float32, int8 = folder / "float32.onnx", folder / "int8.onnx"
    network = subject.resnet20(given.shared).to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 32, 32),),
        str(float32),
        dynamo=True,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )
    batches = [subject.normalised(data.train.pixels[i : i + 100]).contiguous().numpy() for i in range(0, 500, 100)]
    scores = best_calibration(float32, int8, batches, lambda path: onnx_accuracy(path, data.choose))
    result = {"choosing": scores, "float32": onnx_accuracy(float32, data.test), "int8": onnx_accuracy(int8, data.test)}
    for batch in (1, 64):
        result[f"batch {batch}"] = dict(
            zip(
                ("float32_ms", "int8_ms", "ratio"), paired(float32, int8, batch, 300 if batch == 1 else 40), strict=True
            )
        )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
