"""The built-in networks once more, written as ONNX graphs with BatchNorm, activations and real branches.

They share no code with `picojoule.workload.builtin`: two layouts of a network, written apart,
must give the same layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from support.onnx_models import OnnxBuilder


def alexnet() -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 227, 227)
    net.conv("conv1", 96, 11, stride=4, bias=True, activation="Relu")
    net.node("LRN", name="norm1", size=5)
    net.pool("pool1", 3, 2, ceil=True)
    net.conv("conv2", 256, 5, pad=2, groups=2, bias=True, activation="Relu")
    net.node("LRN", name="norm2", size=5)
    net.pool("pool2", 3, 2, ceil=True)
    net.conv("conv3", 384, 3, pad=1, bias=True, activation="Relu")
    net.conv("conv4", 384, 3, pad=1, groups=2, bias=True, activation="Relu")
    net.conv("conv5", 256, 3, pad=1, groups=2, bias=True, activation="Relu")
    net.pool("pool5", 3, 2, ceil=True)
    net.fc("fc6", 256 * 6 * 6, 4096, activation="Relu")
    net.node("Dropout")
    net.fc("fc7", 4096, 4096, activation="Relu")
    net.node("Dropout")
    net.fc("fc8", 4096, 1000)
    net.node("Softmax", name="prob")
    return net


def vgg16() -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 224, 224)
    for stage, (channels, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for index in range(depth):
            net.conv(f"conv{stage}_{index + 1}", channels, 3, pad=1, bias=True, activation="Relu")
        net.pool(f"pool{stage}", 2, 2)
    net.fc("fc6", 25088, 4096, activation="Relu")
    net.fc("fc7", 4096, 4096, activation="Relu")
    net.fc("fc8", 4096, 1000)
    net.node("Softmax", name="prob")
    return net


def googlenet() -> OnnxBuilder:
    modules = {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
    }  # fmt: skip
    net = OnnxBuilder(1, 3, 224, 224)
    net.conv("conv1", 64, 7, stride=2, pad=3, bias=True, activation="Relu")
    net.pool("pool1", 3, 2, ceil=True)
    net.node("LRN", name="norm1", size=5)
    net.conv("conv2_red", 64, 1, bias=True, activation="Relu")
    net.conv("conv2", 192, 3, pad=1, bias=True, activation="Relu")
    net.node("LRN", name="norm2", size=5)
    net.pool("pool2", 3, 2, ceil=True)
    for name, widths in modules.items():
        entry, ends = net.last, []
        for branch in ([("1x1", 1, 0)], [("3r", 1, 1), ("3", 3, 2)], [("5r", 1, 3), ("5", 5, 4)], [("pp", 1, 5)]):
            net.last = entry
            if branch[0][0] == "pp":
                net.pool(f"{name}_pool", 3, 1, pad=1)
            for suffix, kernel, width in branch:
                net.conv(f"{name}_{suffix}", widths[width], kernel, pad=kernel // 2, bias=True, activation="Relu")
            ends.append(net.last)
        net.concat(f"{name}_concat", ends)
        if name in ("3b", "4e"):
            net.pool(f"pool{name[0]}", 3, 2, ceil=True)
    net.node("GlobalAveragePool", name="pool5")
    net.fc("fc", 1024, 1000)
    net.node("Softmax", name="prob")
    return net


def _residual_block(net: OnnxBuilder, name: str, convolutions: list[tuple[int, int, int]]) -> None:
    """``convolutions`` holds (channels, kernel, stride) of each; the last activation comes after the sum."""
    entry = net.last
    for index, (channels, kernel, stride) in enumerate(convolutions, start=1):
        last = index == len(convolutions)
        net.conv(
            f"{name}.conv{index}", channels, kernel, stride=stride, pad=kernel // 2,
            batch_norm=True, activation="" if last else "Relu",
        )  # fmt: skip
    main = net.last
    strides = int(np.prod([stride for _, _, stride in convolutions]))
    if strides > 1 or net.channels(entry) != net.channels(main):
        net.last = entry
        entry = net.conv(f"{name}.downsample.0", net.channels(main), 1, stride=strides, batch_norm=True)
    net.node("Add", [main, entry], name=f"{name}.add")
    net.node("Relu", name=f"{name}.relu")


def _imagenet_resnet(blocks: tuple[int, ...], *, bottleneck: bool, stride_in: int = 0) -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 224, 224)
    net.conv("conv1", 64, 7, stride=2, pad=3, batch_norm=True, activation="Relu")
    net.pool("maxpool", 3, 2, pad=1)
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(count):
            step = 2 if stage and not block else 1
            if bottleneck:
                plan = [(width, 1, 1), (width, 3, 1), (4 * width, 1, 1)]
                plan[stride_in] = (*plan[stride_in][:2], step)
            else:
                plan = [(width, 3, step), (width, 3, 1)]
            _residual_block(net, f"layer{stage + 1}.{block}", plan)
    net.node("GlobalAveragePool", name="avgpool")
    net.fc("fc", 2048 if bottleneck else 512, 1000)
    return net


def resnet18() -> OnnxBuilder:
    return _imagenet_resnet((2, 2, 2, 2), bottleneck=False)


def resnet50() -> OnnxBuilder:
    return _imagenet_resnet((3, 4, 6, 3), bottleneck=True, stride_in=0)


def resnet50_v1_5() -> OnnxBuilder:
    return _imagenet_resnet((3, 4, 6, 3), bottleneck=True, stride_in=1)


def cifar_resnet(depth: int) -> OnnxBuilder:
    """Shortcuts are a strided slice, padded with channels of zeros, as torch exports them."""
    net = OnnxBuilder(1, 3, 32, 32)
    net.conv("conv1", 16, 3, pad=1, batch_norm=True, activation="Relu")
    for stage, width in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            name, entry = f"layer{stage + 1}.{block}", net.last
            step = 2 if stage and not block else 1
            net.conv(f"{name}.conv1", width, 3, stride=step, pad=1, batch_norm=True, activation="Relu")
            main = net.conv(f"{name}.conv2", width, 3, pad=1, batch_norm=True)
            if step == 2:
                bounds = [net.constant(v) for v in ([0, 0], [2**63 - 1, 2**63 - 1], [2, 3], [2, 2])]
                net.node("Slice", [entry, *bounds])
                quarter = width // 4
                entry = net.node("Pad", [net.last, net.constant([0, quarter, 0, 0, 0, quarter, 0, 0])], mode="constant")
            net.node("Add", [main, entry], name=f"{name}.add")
            net.node("Relu")
    net.node("GlobalAveragePool", name="avgpool")
    net.fc("linear", 64, 10)
    return net


def squeezenet(channels: int, kernel: int, pools_after: tuple[int, ...]) -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 227, 227)
    net.conv("conv1", channels, kernel, stride=2, bias=True, activation="Relu")
    net.pool("pool1", 3, 2, ceil=True)
    for index in range(2, 10):
        squeeze = 16 * (index // 2)
        squeezed = net.conv(f"fire{index}/squeeze", squeeze, 1, bias=True, activation="Relu")
        ones = net.conv(f"fire{index}/e1", 4 * squeeze, 1, bias=True, activation="Relu")
        net.last = squeezed
        threes = net.conv(f"fire{index}/e3", 4 * squeeze, 3, pad=1, bias=True, activation="Relu")
        net.concat(f"fire{index}/concat", [ones, threes])
        if index in pools_after:
            net.pool(f"pool{index}", 3, 2, ceil=True)
    net.node("Dropout")
    net.conv("conv10", 1000, 1, bias=True, activation="Relu")
    net.node("GlobalAveragePool", name="pool10")
    net.node("Softmax", name="prob", axis=1)
    return net


def mobilenet_v1(width: float = 1.0, size: int = 224) -> OnnxBuilder:
    net = OnnxBuilder(1, 3, size, size)
    net.conv("conv1", int(32 * width), 3, stride=2, pad="same", batch_norm=True, activation="Clip")
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for index, (channels, stride) in enumerate(plan, start=1):
        groups = net.channels(net.last)
        net.conv(f"dw{index}", groups, 3, stride=stride, pad="same", groups=groups, batch_norm=True, activation="Clip")
        net.conv(f"pw{index}", int(channels * width), 1, batch_norm=True, activation="Clip")
    net.node("GlobalAveragePool", name="pool")
    net.fc("fc", int(1024 * width), 1000)
    net.node("Softmax", name="prob")
    return net


def mobilenet_v2() -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 224, 224)
    net.conv("conv1", 32, 3, stride=2, pad="same", batch_norm=True, activation="Clip")
    index = 0
    for factor, width, count, first in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for repetition in range(count):
            entry, name = net.last, f"b{index}"
            inner = factor * net.channels(entry)
            stride = 1 if repetition else first
            if factor > 1:
                net.conv(f"{name}_exp", inner, 1, batch_norm=True, activation="Clip")
            net.conv(
                f"{name}_dw", inner, 3, stride=stride, pad="same", groups=inner, batch_norm=True, activation="Clip"
            )
            net.conv(f"{name}_proj", width, 1, batch_norm=True)
            if stride == 1 and net.channels(entry) == width:
                net.node("Add", [entry, net.last], name=f"{name}_add")
            index += 1
    net.conv("conv_last", 1280, 1, batch_norm=True, activation="Clip")
    net.node("GlobalAveragePool", name="pool")
    net.fc("fc", 1280, 1000)
    net.node("Softmax", name="prob")
    return net


def merkel(depth: int) -> OnnxBuilder:
    net = OnnxBuilder(1, 3, 32, 32)
    for index in range(1, depth):
        net.conv(f"conv{index}", 64, 3, bias=True, activation="Relu")
    side = 32 - 2 * (depth - 1)
    net.fc("fc", net.channels(net.last) * side * side, 10)
    net.node("Softmax", name="softmax")
    return net


NETWORKS: dict[str, Callable[[], OnnxBuilder]] = {
    "alexnet": alexnet,
    "vgg16": vgg16,
    "googlenet": googlenet,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "resnet50_v1.5": resnet50_v1_5,
    "squeezenet1.0": lambda: squeezenet(96, 7, (4, 8)),
    "squeezenet1.1": lambda: squeezenet(64, 3, (3, 5)),
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v1:0.5-128": lambda: mobilenet_v1(0.5, 128),
    "mobilenet_v2": mobilenet_v2,
    **{f"resnet{depth}": lambda depth=depth: cifar_resnet(depth) for depth in (20, 32, 56)},
    **{f"merkel:L{depth}": lambda depth=depth: merkel(depth) for depth in range(1, 12)},
}
