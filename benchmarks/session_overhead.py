"""What a session costs beside bare ONNX Runtime, paired in turn: batch 1, one thread, the same ONNX bytes and input.

    python benchmarks/session_overhead.py [MODEL.onnx]

Without a model: ResNet-20 for CIFAR-10 and a network of MobileNetV2's shape, with random weights. A pair is one call of
each, in an order that changes; the figure is the median of the pairs' differences over the median bare call. What
belongs to a call: from the prepared array to the outputs (``Session.run``); then with the five likeliest classes on
either side, by a plain argsort of the logits in the bare one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SRC = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SRC))
LONGEST_S, MOST_PAIRS, WARM_UP, ROUNDS = 12, 1500, 20, 3


def resnet20() -> Any:
    """He et al.'s network for CIFAR-10, shortcuts by 1 × 1 convolutions."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
            )  # fmt: skip
            self.short = nn.Identity() if (inputs, stride) == (width, 1) else nn.Conv2d(inputs, width, 1, stride)

        def forward(self, x: Any) -> Any:
            return (self.body(x) + self.short(x)).relu()

    parts, inputs = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for width in (16, 32, 64):
        for number in range(3):
            parts.append(Block(inputs, width, 2 if width > 16 and number == 0 else 1))
            inputs = width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mobilenet() -> Any:
    """Inverted residuals as in MobileNetV2 (Sandler et al. 2018), without the residual additions."""
    from torch import nn

    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[Any]:
        return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()]

    parts, inputs = conv(3, 32, 3, 2), 32
    for expand, width, count, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for number in range(count):
            wide = inputs * expand
            parts += conv(inputs, wide, 1) if expand > 1 else []
            parts += conv(wide, wide, 3, stride if number == 0 else 1, wide)
            parts += [nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width)]
            inputs = width
    return nn.Sequential(*parts, *conv(inputs, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


def pairs(bare: Callable[[], object], ours: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds of the bare call and of ours, and the median of the differences within a pair."""
    for _ in range(WARM_UP):
        bare()
        ours()
    times: tuple[list[float], list[float]] = ([], [])
    until = time.perf_counter() + LONGEST_S
    for number in range(MOST_PAIRS):
        if time.perf_counter() > until and number % 2 == 0:
            break
        order = ((0, bare), (1, ours)) if number % 2 else ((1, ours), (0, bare))
        for which, call in order:
            began = time.perf_counter()
            call()
            times[which].append(time.perf_counter() - began)
    differences = [b - a for a, b in zip(*times, strict=True)]
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(differences)


def measure(name: str, bundle: Any) -> float:
    """Prints a line for each way of calling; the worst median overhead of ``Session.run``."""
    import onnxruntime

    from picojoule.runtime import Session

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare_session = onnxruntime.InferenceSession(bundle.models[0], options, providers=["CPUExecutionProvider"])
    session = Session(bundle, threads=1)
    (tensor,) = bundle.manifest.inputs
    x = np.random.default_rng(0).standard_normal((1, *tensor.shape)).astype(tensor.dtype)
    names = [tensor_.name for tensor_ in bundle.manifest.stages[0].outputs]

    def bare() -> Any:
        return bare_session.run(names, {tensor.name: x})

    ways = {
        "Session.run": (bare, lambda: session.run(x)),
        "and top(5)": (lambda: np.argsort(-bare()[0], axis=1)[:, :5], lambda: session.run(x).top(5)),
    }
    worst = 0.0
    for way, (plain, ours) in ways.items():
        found = [pairs(plain, ours) for _ in range(ROUNDS)]
        shares = sorted(100 * difference / base for base, _, difference in found)
        base, _, difference = sorted(found, key=lambda one: one[2] / one[0])[ROUNDS // 2]
        print(
            f"{name:12} {way:12} bare {1e6 * base:9.1f} µs   overhead {1e6 * difference:6.1f} µs   {shares[ROUNDS // 2]:5.2f} %"
            f"   (rounds {', '.join(f'{one:.2f}' for one in shares)})"
        )
        if way == "Session.run":
            worst = max(worst, shares[ROUNDS // 2])
    return worst


def main() -> None:
    import onnxruntime

    from picojoule.runtime import export_bundle

    print(f"onnxruntime {onnxruntime.__version__}, 1 thread, batch 1, up to {MOST_PAIRS} pairs, {ROUNDS} rounds, median of the rounds")
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            sources = {Path(sys.argv[1]).stem: (sys.argv[1], None)}
        else:
            import torch

            torch.manual_seed(0)
            torch.set_num_threads(1)
            sources = {"resnet20": (resnet20().eval(), torch.zeros(1, 3, 32, 32)), "mobilenet": (mobilenet().eval(), torch.zeros(1, 3, 224, 224))}
        worst = max(measure(name, export_bundle(model, Path(folder) / name, example)) for name, (model, example) in sources.items())
    print(f"Session.run costs at most {worst:.2f} % (aim: 3 %)")


if __name__ == "__main__":
    main()
