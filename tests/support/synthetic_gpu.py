"""A GPU that exists on paper only: microbenchmarks that it would give, with noise, from constants that are known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import picojoule
from picojoule.runtime.device_table import WIDTH_BYTES, Arithmetic, DeviceTable, Work, matmul, work_of
from picojoule.runtime.microbenchmarks import SCHEMA

TRUE = DeviceTable(
    name="synthetic",
    launch_s=4e-6,
    bytes_per_s=1.5e12,
    arithmetic={
        "float16": Arithmetic(macs_per_s=1.2e14, half_outputs=60_000, half_depth=120, pj_per_mac=0.35),
        "float32": Arithmetic(macs_per_s=9e12, half_outputs=25_000, half_depth=40, pj_per_mac=2.1),
    },
    static_w=90.0,
    pj_per_byte=55.0,
)

Law = Callable[[Work, str], tuple[float, float]]


def by_its_table(work: Work, dtype: str) -> tuple[float, float]:
    """What the machine takes by the law that is fitted."""
    joules = TRUE.joules(work, dtype)
    assert joules is not None
    return TRUE.seconds(work, dtype), joules


def without_overlap(work: Work, dtype: str) -> tuple[float, float]:
    """Another law: copying waits for the arithmetic, so that the times add up. No table of ours can be right about it."""
    seconds = TRUE.seconds(work, dtype) + (work.moved_bytes / TRUE.bytes_per_s if work.macs else 0.0)
    joules = TRUE.joules(work, dtype)
    assert joules is not None
    return seconds, joules + TRUE.static_w * (seconds - TRUE.seconds(work, dtype))


def record(path: Path, law: Law, *, noise: float, seed: int = 0, energy: bool = True) -> Path:
    """Writes the microbenchmarks of a machine of this law; ``noise`` is the standard deviation, relative."""
    draw = random.Random(seed)

    def row(work: Work, dtype: str) -> dict[str, float | None]:
        seconds, joules = law(work, dtype)
        return {
            "seconds": seconds * draw.lognormvariate(0, noise),
            "joules": joules * draw.lognormvariate(0, noise) if energy else None,
        }

    copies = [{"bytes": 2**size, **row(Work(moved_bytes=2**size), "")} for size in range(12, 33, 2)]
    sizes = [(m, n, k) for m in (16, 128, 1024, 8192) for n in (64, 512, 4096) for k in (32, 256, 2048)]
    matmuls = [
        {"dtype": dtype, "m": m, "n": n, "k": k, **row(matmul(m, n, k, WIDTH_BYTES[dtype]), dtype)}
        for dtype in TRUE.arithmetic
        for m, n, k in sizes
    ]
    networks = []
    for model in ("resnet50", "mobilenet_v2", "bert_base"):
        for dtype in TRUE.arithmetic:
            for batch in (1, 16):
                layers = picojoule.load_model(model).with_batch(batch).layers
                parts = [
                    law(work_of(layer, WIDTH_BYTES[dtype]), dtype) for layer in layers for _ in range(layer.repeats)
                ]
                networks.append(
                    {"model": model, "dtype": dtype, "batch": batch, "seconds": sum(s for s, _ in parts), "joules": sum(j for _, j in parts) if energy else None}
                )  # fmt: skip
    data = {"schema": SCHEMA, "device": {"name": "synthetic"}, "copy": copies, "matmul": matmuls, "networks": networks}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path
