"""Writes ONNX models as exporters do, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class OnnxBuilder:
    """A model grown node by node. ``last`` is the tensor that the next node reads unless told otherwise.

    Weights are stated to lie in a file that doesn't exist: whoever needs only shapes must not miss it.
    """

    def __init__(self, *input_shape: int | str, opset: int = 13, name: str = "input") -> None:
        self.opset = opset
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(input_shape))]
        self.outputs: list[str] = []
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.last = name
        self._channels = {name: input_shape[1] if len(input_shape) > 1 else 1}
        self._count = 0

    def input(self, name: str, *shape: int | str) -> str:
        """One more input of the model."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        self._channels[name] = shape[1] if len(shape) > 1 else 1
        return name

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def weight(self, *shape: int) -> str:
        """A tensor of floats whose data are elsewhere."""
        tensor = TensorProto(name=self.fresh("weight"), dims=shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="no-such-file.bin")
        self.initializers.append(tensor)
        return tensor.name

    def constant(self, values: Any, dtype: type = np.int64) -> str:
        """A short tensor with its data."""
        name = self.fresh("constant")
        self.initializers.append(numpy_helper.from_array(np.array(values, dtype=dtype), name))
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str] | None = None,
        *,
        name: str = "",
        outputs: Sequence[str] = (),
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Any operator; returns its first output, which becomes ``last``."""
        inputs = [self.last] if inputs is None else list(inputs)
        outputs = list(outputs) or [self.fresh(op.lower())]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes))
        self.last = outputs[0]
        self._channels[self.last] = self._channels.get(inputs[0], 1) if inputs else 1
        return self.last

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | str = 0,
        groups: int = 1,
        bias: bool = False,
        batch_norm: bool = False,
        activation: str = "",
    ) -> str:
        """A square convolution with what usually follows it; ``pad`` may be "same"."""
        data = self.last
        inputs = [data, self.weight(out_channels, self._channels[data] // groups, kernel, kernel)]
        if bias:
            inputs.append(self.weight(out_channels))
        padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if pad == "same" else {"pads": [pad] * 4}
        self.node("Conv", inputs, name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups, **padding)
        self._channels[self.last] = out_channels
        if batch_norm:
            statistics = [self.weight(out_channels) for _ in range(4)]
            self.node("BatchNormalization", [self.last, *statistics], name=f"{name}/bn")
        if activation == "Clip":
            bounds = [self.constant(0, np.float32), self.constant(6, np.float32)]
            self.node("Clip", [self.last, *bounds], name=f"{name}/clip")
        elif activation:
            self.node(activation, name=f"{name}/{activation.lower()}")
        return self.last

    def pool(self, name: str, kernel: int, stride: int, *, pad: int = 0, ceil: bool = False) -> str:
        """A square max pool."""
        return self.node(
            "MaxPool", name=name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, ceil_mode=int(ceil)
        )

    def concat(self, name: str, tensors: Sequence[str]) -> str:
        channels = sum(self._channels[tensor] for tensor in tensors)
        self.node("Concat", tensors, name=name, axis=1)
        self._channels[self.last] = channels
        return self.last

    def fc(self, name: str, in_features: int, out_features: int, *, activation: str = "") -> str:
        """Flatten and Gemm, as torch exports a linear layer."""
        self.node("Flatten", name=f"{name}/flatten")
        weights = [self.weight(out_features, in_features), self.weight(out_features)]
        self.node("Gemm", [self.last, *weights], name=name, transB=1)
        return self.node(activation, name=f"{name}/{activation.lower()}") if activation else self.last

    def channels(self, tensor: str) -> int:
        return self._channels[tensor]

    def model(self) -> onnx.ModelProto:
        """The model so far; ``last`` is its output."""
        outputs = [helper.make_empty_tensor_value_info(name) for name in (*self.outputs, self.last)]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, outputs, self.initializers)
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(d, 1) for d in sorted({node.domain for node in self.nodes} - {""})]
        return helper.make_model(graph, opset_imports=imports, producer_name="picojoule tests")

    def save(self, path: Path) -> Path:
        """Writes the model, without a look at the weights, and returns ``path``."""
        path.write_bytes(self.model().SerializeToString())
        return path
