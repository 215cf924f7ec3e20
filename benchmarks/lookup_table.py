"""How far a look-up table by layer shape is from whole networks: 50 random widths of MobileNet, in one run.

Every network is MobileNet v1 at 224 × 224 with each of its 14 widths drawn anew between a quarter and the whole of the
published one, in multiples of 8. The table is measured on its own grid of channels, from nothing, in turns with the
networks, so that both see the machine in the same state. Nothing in the table has seen a network. Run it from the
checkout: ``make bench``. ``--seed N`` draws other widths, ``--networks N`` more or fewer, ``--rounds N`` sets the turns,
``--save FILE`` keeps what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import picojoule
from picojoule.runtime.latency_table import ROUNDS, RUNS, LatencyTable, turn, typical
from picojoule.runtime.layer_models import shape_of
from picojoule.runtime.machine import machine_name
from picojoule.runtime.threads import pinned
from picojoule.runtime.timed_session import Run, open_session, quiet

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
STEM, SIDE, CLASSES = 32, 224, 1000
LEAST, STEP = 0.25, 8
MEDIAN, WORST = 0.05, 0.15
BUSY = 0.5
"""Share of interrupted runs beyond which the figures say little."""


def network(widths: list[int]) -> onnx.ModelProto:
    """MobileNet with these widths, the stem's first; BatchNorm is folded into the convolutions, as exporters do."""
    rng = np.random.default_rng(0)
    nodes, weights, source, channels = [], [], "x", 3

    def convolution(name: str, after: int, size: int, stride: int, groups: int) -> None:
        nonlocal source, channels
        drawn = (
            rng.standard_normal((after, channels // groups, size, size), "float32")
            / (size * size * channels / groups) ** 0.5
        )
        weights.extend(
            [
                numpy_helper.from_array(drawn, f"{name}_w"),
                numpy_helper.from_array(np.zeros(after, "float32"), f"{name}_b"),
            ]
        )
        nodes.append(helper.make_node(
            "Conv", [source, f"{name}_w", f"{name}_b"], [f"{name}_sum"], name=name, kernel_shape=[size, size],
            strides=[stride, stride], pads=[size // 2] * 4, group=groups,
        ))  # fmt: skip
        nodes.append(helper.make_node("Relu", [f"{name}_sum"], [name], name=f"{name}_relu"))
        source, channels = name, after

    convolution("conv1", widths[0], 3, 2, 1)
    for index, (width, (_, stride)) in enumerate(zip(widths[1:], BLOCKS, strict=True), start=1):
        convolution(f"dw{index}", channels, 3, stride, channels)
        convolution(f"pw{index}", width, 1, 1, 1)
    nodes.append(helper.make_node("GlobalAveragePool", [source], ["pooled"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"))
    drawn = rng.standard_normal((channels, CLASSES), "float32") / channels**0.5
    weights += [numpy_helper.from_array(drawn, "fc_w"), numpy_helper.from_array(np.zeros(CLASSES, "float32"), "fc_b")]
    nodes.append(helper.make_node("Gemm", ["flat", "fc_w", "fc_b"], ["y"], name="fc"))
    graph = helper.make_graph(
        nodes, "mobilenet", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, CLASSES))], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main() -> int:
    """Prints the errors; exit code 1 if they are beyond the limits."""
    given = argparse.ArgumentParser(description=__doc__)
    for name, default in (("networks", 50), ("seed", 0), ("rounds", ROUNDS)):
        given.add_argument(f"--{name}", type=int, default=default)
    given.add_argument("--save", type=Path, help="keep widths, measured and foretold seconds as JSON")
    asked = given.parse_args()
    draw = random.Random(asked.seed)
    full = [STEM, *(width for width, _ in BLOCKS)]
    drawn = [[draw.randrange(int(LEAST * w), w + 1, STEP) for w in full] for _ in range(asked.networks)]
    began, load = time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, pinned(1):
        files = [Path(folder, f"{index}.onnx") for index in range(asked.networks)]
        for file, widths in zip(files, drawn, strict=True):
            onnx.save(network(widths), file)
        read = [picojoule.load_model(file) for file in files]
        sessions = [open_session(file, threads=1) for file in files]
        runs: list[list[Run]] = [[] for _ in sessions]

        def run_networks() -> None:
            for session, seen in zip(sessions, runs, strict=True):
                seen += turn(session)

        table = LatencyTable(threads=1, rounds=asked.rounds)
        shapes = table.prepare(read, meanwhile=run_networks)
    times = [quiet(seen) for seen in runs]
    if any(all(run.interrupted for run in seen) for seen in runs):
        print("too busy to tell: other programs interrupted every run of a network")
        return 1
    measured = np.array([typical(seen) for seen in times])
    foretold = [table.predict(one) for one in read]
    errors = np.array([one.latency_s for one in foretold]) / measured - 1
    worst = int(np.argmax(np.abs(errors)))
    median, most = float(np.median(np.abs(errors))), float(np.abs(errors).max())
    print(
        f"{machine_name()} · {table.context.runtime} · 1 thread · load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    print(f"{asked.networks} networks of {1e3 * measured.min():.2f} … {1e3 * measured.max():.2f} ms, seed {asked.seed}")
    needed = {shape_of(layer) for one in read for layer in one.layers} - {None}
    exact = sum(table.measured(shape) for shape in needed)
    print(f"{len(needed)} different layers, {exact} of them on the grid, the others interpolated")
    print(f"{shapes} layer shapes measured, {time.perf_counter() - began:.0f} s in all; other programs interrupted "
          f"{100 * np.mean([run.interrupted for seen in runs for run in seen]):.0f} % of the runs of networks, the warm ones among the others spread over "
          f"{100 * np.median([np.subtract(*np.quantile(t, (0.75, 0.25))) / np.median(t) for t in times]):.1f} % (quartiles)")  # fmt: skip
    print(f"error: median {100 * median:.2f} % (at most {100 * MEDIAN:.0f} %), worst {100 * most:.2f} % (at most {100 * WORST:.0f} %), "
          f"mean with its sign {100 * errors.mean():+.2f} %; worst widths {drawn[worst]}")  # fmt: skip
    print(
        f"left out of the table: {', '.join(foretold[worst].left_out)} · added for a run: {1e6 * foretold[worst].run_s:.0f} µs"
    )
    if np.mean([run.interrupted for seen in runs for run in seen]) > BUSY:
        print("too busy: other programs interrupted most runs, so that layers and networks found the caches in different states")
    if asked.save is not None:
        rows = [
            {"widths": widths, "measured_s": float(seen), "foretold_s": one.latency_s}
            for widths, seen, one in zip(drawn, measured, foretold, strict=True)
        ]
        facts = {
            "machine": machine_name(), "runtime": table.context.runtime, "threads": 1, "load_before": load, "load_after": os.getloadavg()[0],
            "seed": asked.seed, "rounds": asked.rounds, "runs_a_round": RUNS,
            "interrupted": float(np.mean([run.interrupted for seen in runs for run in seen])),
            "layers": len(needed), "layers_on_grid": exact, "shapes_measured": shapes,
        }  # fmt: skip
        asked.save.write_text(json.dumps({**facts, "networks": rows}, indent=1) + "\n", encoding="utf-8")
    return int(median > MEDIAN or most > WORST)


if __name__ == "__main__":
    sys.exit(main())
