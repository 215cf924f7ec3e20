"""Small ONNX networks with weights, of one exit and of several, and their bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES, SIDE = 4, 6


def info(name: str, *shape: int | str | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def weights(**arrays: Any) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def model(
    nodes: list[onnx.NodeProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[onnx.TensorProto],
    *inputs: onnx.ValueInfoProto,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "net", list(inputs), outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def exits(
    count: int = 3, *, channels: int = 3, batch: int | str = "batch", flatten: str = "Flatten", probabilities: bool = False
) -> onnx.ModelProto:
    """Convolutions in a row, a classifier after each: ``exit0`` … read by nobody, ``map0`` … by the next.

    Args:
        count: of exits.
        channels: of the image and the maps.
        batch: a number fixes it.
        flatten: how a map becomes a row: Flatten, or Shape, which reads the batch from the image itself.
        probabilities: a softmax ends every exit.
    """
    rng = np.random.default_rng(1)
    nodes, arrays, last = [], {}, "image"
    for number in range(count):
        arrays[f"w{number}"] = rng.normal(0, 0.3, (channels, channels, 3, 3)).astype(np.float32)
        arrays[f"head{number}"] = rng.normal(0, 0.3, (channels * SIDE * SIDE, CLASSES)).astype(np.float32)
        nodes += [
            helper.make_node("Conv", [last, f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{number}"], [f"map{number}"], name=f"relu{number}"),
        ]
        if flatten == "Shape":
            if number == 0:
                arrays["rest"] = np.array([-1], dtype=np.int64)
                nodes.append(helper.make_node("Shape", ["image"], ["size"], start=0, end=1))
                nodes.append(helper.make_node("Concat", ["size", "rest"], ["rows"], axis=0))
            nodes.append(helper.make_node("Reshape", [f"map{number}", "rows"], [f"flat{number}"]))
        else:
            nodes.append(helper.make_node("Flatten", [f"map{number}"], [f"flat{number}"]))
        made = f"scores{number}" if probabilities else f"exit{number}"
        nodes.append(helper.make_node("MatMul", [f"flat{number}", f"head{number}"], [made]))
        if probabilities:
            nodes.append(helper.make_node("Softmax", [made], [f"exit{number}"]))
        last = f"map{number}"
    outputs = [info(f"exit{number}", batch, CLASSES) for number in range(count)]
    return model(nodes, outputs, weights(**arrays), info("image", batch, channels, SIDE, SIDE))


def saved(path: Path, made: onnx.ModelProto) -> Path:
    onnx.save(made, path)
    return path


def images(count: int, *, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, channels, SIDE, SIDE)).astype(np.float32)


def labelled(bundle: Any, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, and labels that later exits know better: a noisy vote of what the exits of the bundle answer."""
    from picojoule.exits import logits_of_bundle

    x = images(count, seed=seed)
    logits = logits_of_bundle(bundle, x)
    known = np.tensordot([0.8, 1.2, 2.0], logits / logits.std((1, 2), keepdims=True), 1)
    return x, (known + 0.5 * np.random.default_rng(seed).gumbel(size=known.shape)).argmax(1)


def adaptive(folder: Path) -> Any:
    """``net.bundle`` with three exits, and labelled images of it that choose, calibrate and are new."""
    from picojoule.runtime import export_bundle

    bundle = export_bundle(saved(folder / "net.onnx", exits()), folder / "net.bundle")
    for name, count, seed in (("choosing", 900, 1), ("held", 900, 2), ("new", 300, 3)):
        x, labels = labelled(bundle, count, seed)
        np.savez(folder / f"{name}.npz", image=x, labels=labels)
    return bundle
