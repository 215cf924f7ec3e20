"""Small ONNX files that run in less than a millisecond."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def small_network(path: Path, *, channels: int = 16, batch: int | str = 1) -> Path:
    """Two convolutions, a pool and a classifier on 3 × 16 × 16."""
    rng = np.random.default_rng(0)
    sizes = {"first_w": (channels, 3, 3, 3), "second_w": (channels, channels, 1, 1), "fc_w": (channels, 10)}
    weights = [
        numpy_helper.from_array(rng.standard_normal(size).astype("float32"), name) for name, size in sizes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "first_w"], ["a"], name="first", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="first_relu"),
        helper.make_node("Conv", ["b", "second_w"], ["c"], name="second", kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], name="pool"),
        helper.make_node("Flatten", ["d"], ["e"], name="flatten"),
        helper.make_node("Gemm", ["e", "fc_w"], ["scores"], name="fc"),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 10])], weights,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
