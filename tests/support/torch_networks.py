"""The built-in networks once more, as plain PyTorch modules whose paths are the names of the layers.

They share no code with `picojoule.workload.builtin`: two layouts of a network, written apart, must give the same
layers. Where the built-in name can't be a path (it has a slash, or a function makes the layer) `NAMES` says what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from support.torch_maps import UNet, YoloV3, merkel, perceptron
from torch import nn


class Named(nn.Module):
    """Submodules under names that no attribute could have, run one after the other."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.children():
            x = part(x)
        return x


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, pad: int = 0, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups)


def pool(ceil: bool = True, kernel: int = 3, stride: int = 2, pad: int = 0) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil)


def alexnet() -> nn.Module:
    return Named(
        conv1=conv(3, 96, 11, 4), relu1=nn.ReLU(), pool1=pool(),
        conv2=conv(96, 256, 5, 1, 2, groups=2), relu2=nn.ReLU(inplace=True), pool2=pool(),
        conv3=conv(256, 384, 3, 1, 1), relu3=nn.ReLU(), conv4=conv(384, 384, 3, 1, 1, groups=2), relu4=nn.ReLU(),
        conv5=conv(384, 256, 3, 1, 1, groups=2), relu5=nn.ReLU(), pool5=pool(), flatten=nn.Flatten(),
        fc6=nn.Linear(9216, 4096), relu6=nn.ReLU(), drop6=nn.Dropout(), fc7=nn.Linear(4096, 4096), relu7=nn.ReLU(),
        drop7=nn.Dropout(), fc8=nn.Linear(4096, 1000),
    )  # fmt: skip


def vgg16() -> nn.Module:
    parts: dict[str, nn.Module] = {}
    inputs = 3
    for stage, (outputs, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for index in range(1, depth + 1):
            parts[f"conv{stage}_{index}"] = conv(inputs, outputs, 3, 1, 1)
            parts[f"relu{stage}_{index}"] = nn.ReLU()
            inputs = outputs
        parts[f"pool{stage}"] = pool(kernel=2, ceil=False)
    return Named(
        **parts, flatten=nn.Flatten(), fc6=nn.Linear(25088, 4096), relu6=nn.ReLU(), fc7=nn.Linear(4096, 4096),
        relu7=nn.ReLU(), fc8=nn.Linear(4096, 1000),
    )  # fmt: skip


class Inception(nn.Module):
    def __init__(self, name: str, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = widths
        self.label = name
        for part, layer in {
            "1x1": conv(inputs, one, 1), "3r": conv(inputs, three_in, 1), "3": conv(three_in, three, 3, 1, 1),
            "5r": conv(inputs, five_in, 1), "5": conv(five_in, five, 5, 1, 2),
            "pool": pool(stride=1, pad=1, ceil=False), "pp": conv(inputs, pooled, 1),
        }.items():  # fmt: skip
            self.add_module(part, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        at = self.get_submodule
        ends = [at("1x1")(x)]
        ends += [at(after)(F.relu(at(before)(x))) for before, after in (("3r", "3"), ("5r", "5"), ("pool", "pp"))]
        return torch.cat([F.relu(end) for end in ends], 1)


def googlenet() -> nn.Module:
    parts: dict[str, nn.Module] = {
        "conv1": conv(3, 64, 7, 2, 3), "relu1": nn.ReLU(), "pool1": pool(), "conv2_red": conv(64, 64, 1),
        "relu2r": nn.ReLU(), "conv2": conv(64, 192, 3, 1, 1), "relu2": nn.ReLU(), "pool2": pool(),
    }  # fmt: skip
    inputs = 192
    for name, widths in {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
    }.items():  # fmt: skip
        parts[name] = Inception(name, inputs, widths)
        inputs = widths[0] + widths[2] + widths[4] + widths[5]
        if name in ("3b", "4e"):
            parts[f"pool{name[0]}"] = pool()
    return Named(**parts, pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(1024, 1000))


class Residual(nn.Module):
    """A residual block of two or three convolutions; ``plan`` holds (channels, kernel, stride) of each."""

    def __init__(self, inputs: int, plan: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.depth, entry, steps = len(plan), inputs, 1
        for index, (outputs, kernel, stride) in enumerate(plan, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))
            self.add_module(f"bn{index}", nn.BatchNorm2d(outputs))
            inputs, steps = outputs, steps * stride
        self.downsample = None
        if steps > 1 or entry != inputs:
            self.downsample = nn.Sequential(nn.Conv2d(entry, inputs, 1, steps, bias=False), nn.BatchNorm2d(inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for index in range(1, self.depth + 1):
            y = self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(y))
            y = F.relu(y) if index < self.depth else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet(blocks: tuple[int, ...], bottleneck: bool, strides: tuple[int, int] = (2, 1)) -> nn.Module:
    """A ResNet for ImageNet; ``strides`` of the first two convolutions of a stage's first bottleneck."""
    parts: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 64, 7, 2, 3, bias=False), "bn1": nn.BatchNorm2d(64), "relu": nn.ReLU(inplace=True),
        "maxpool": pool(pad=1, ceil=False),
    }  # fmt: skip
    inputs = 64
    for stage, count in enumerate(blocks):
        width, row = 64 * 2**stage, []
        for block in range(count):
            first, second = strides if stage and not block else (1, 1)
            plan = (
                [(width, 1, first), (width, 3, second), (4 * width, 1, 1)]
                if bottleneck
                else [(width, 3, first), (width, 3, 1)]
            )
            row.append(Residual(inputs, plan))
            inputs = plan[-1][0]
        parts[f"layer{stage + 1}"] = nn.Sequential(*row)
    return Named(**parts, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inputs, 1000))


class Narrow(nn.Module):
    """A residual block for CIFAR-10: where the shape changes, the shortcut skips pixels and has zeros for channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.more = stride, (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return F.relu(y + x)


def resnet_cifar(depth: int) -> nn.Module:
    first = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    parts: dict[str, nn.Module] = {"conv1": first, "bn1": nn.BatchNorm2d(16), "relu": nn.ReLU()}
    inputs = 16
    for stage, width in enumerate((16, 32, 64), start=1):
        row = []
        for block in range((depth - 2) // 6):
            row.append(Narrow(inputs, width, 2 if stage > 1 and block == 0 else 1))
            inputs = width
        parts[f"layer{stage}"] = nn.Sequential(*row)
    return Named(**parts, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=nn.Linear(64, 10))


class Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze, self.e1, self.e3 = (
            conv(inputs, squeeze, 1),
            conv(squeeze, 4 * squeeze, 1),
            conv(squeeze, 4 * squeeze, 3, 1, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.e1(x)), F.relu(self.e3(x))], 1)


def squeezenet(filters: int = 96, kernel: int = 7, pools_after: tuple[int, int] = (4, 8)) -> nn.Module:
    parts: dict[str, nn.Module] = {"conv1": conv(3, filters, kernel, 2), "relu1": nn.ReLU(), "pool1": pool()}
    inputs = filters
    for index in range(2, 10):
        squeeze = 16 * (index // 2)
        parts[f"fire{index}"] = Fire(inputs, squeeze)
        inputs = 8 * squeeze
        if index in pools_after:
            parts[f"pool{index}"] = pool()
    return Named(
        **parts, drop=nn.Dropout(), conv10=conv(inputs, 1000, 1), relu10=nn.ReLU(), pool10=nn.AdaptiveAvgPool2d(1)
    )


class SameConv(nn.Module):
    """TensorFlow's SAME padding: as many outputs as strides fit; an odd row lies at the bottom and right."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, dilation=dilation, bias=False)
        self.reach, self.stride = (kernel - 1) * dilation, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns, rows = (max(self.reach - (size - 1) % self.stride, 0) for size in (x.shape[-1], x.shape[-2]))
        return self.conv(F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)))


def mobilenet_v1(width: float = 1.0) -> nn.Module:
    stem = max(int(32 * width), 8)
    parts: dict[str, nn.Module] = {"conv1": SameConv(3, stem, 3, 2), "bn": nn.BatchNorm2d(stem), "act": nn.ReLU6()}
    inputs = stem
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for index, (full, stride) in enumerate(plan, start=1):
        outputs = max(int(full * width), 8)
        parts[f"dw{index}"] = SameConv(inputs, inputs, 3, stride, groups=inputs)
        parts[f"dwbn{index}"], parts[f"dwact{index}"] = nn.BatchNorm2d(inputs), nn.ReLU6()
        parts[f"pw{index}"] = nn.Conv2d(inputs, outputs, 1, bias=False)
        parts[f"pwbn{index}"], parts[f"pwact{index}"] = nn.BatchNorm2d(outputs), nn.ReLU6()
        inputs = outputs
    return Named(**parts, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inputs, 1000))


class Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, factor: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        inner = factor * inputs
        steps: list[nn.Module] = []
        if factor > 1:
            steps += [nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6()]
        steps += [SameConv(inner, inner, 3, stride, inner, dilation), nn.BatchNorm2d(inner), nn.ReLU6()]
        steps += [nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.steps, self.same = nn.Sequential(*steps), stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.steps(x) if self.same else self.steps(x)


def eighths(channels: float) -> int:
    """A multiple of 8 near ``channels``, not far below."""
    near = max(8, 8 * int((channels + 4) / 8))
    return near if near >= 0.9 * channels else near + 8


def _backbone(width: float, least_stride: int) -> tuple[dict[str, nn.Module], int]:
    """MobileNet v2 up to its last block, and the channels there; at ``least_stride`` strides become dilations."""
    inputs, index, reached, dilation = eighths(32 * width), 0, 2, 1
    parts: dict[str, nn.Module] = {
        "conv1": SameConv(3, inputs, 3, 2), "bn": nn.BatchNorm2d(inputs), "act": nn.ReLU6(),
    }  # fmt: skip
    for factor, full, count, first in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        outputs = eighths(full * width)
        for repetition in range(count):
            stride, dilated = 1 if repetition else first, dilation
            if stride == 2 and reached == least_stride:
                stride, dilation = 1, 2 * dilation
            reached *= stride
            parts[f"b{index}"] = Inverted(inputs, outputs, factor, stride, dilated)
            inputs, index = outputs, index + 1
    return parts, inputs


def mobilenet_v2_backbone(least_stride: int) -> nn.Module:
    return Named(**_backbone(1.0, least_stride)[0])


def mobilenet_v2(width: float = 1.0) -> nn.Module:
    parts, inputs = _backbone(width, 32)
    last = eighths(1280 * max(1.0, width))
    parts |= {"conv_last": nn.Conv2d(inputs, last, 1, bias=False), "bn_last": nn.BatchNorm2d(last), "last": nn.ReLU6()}
    return Named(**parts, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(last, 1000))


MODULES: dict[str, tuple[Callable[[], nn.Module], int | tuple[int, ...]]] = {
    "alexnet": (alexnet, 227),
    "vgg16": (vgg16, 224),
    "googlenet": (googlenet, 224),
    "resnet18": (lambda: resnet((2, 2, 2, 2), bottleneck=False), 224),
    "resnet50": (lambda: resnet((3, 4, 6, 3), bottleneck=True), 224),
    "resnet50_v1.5": (lambda: resnet((3, 4, 6, 3), bottleneck=True, strides=(1, 2)), 224),
    "resnet20": (lambda: resnet_cifar(20), 32),
    "resnet32": (lambda: resnet_cifar(32), 32),
    "resnet56": (lambda: resnet_cifar(56), 32),
    "squeezenet1.0": (lambda: squeezenet(96, 7, (4, 8)), 227),
    "squeezenet1.1": (lambda: squeezenet(64, 3, (3, 5)), 227),
    "mobilenet_v1": (mobilenet_v1, 224),
    "mobilenet_v2": (mobilenet_v2, 224),
    "yolov3": (YoloV3, 416),
    "unet": (UNet, (1, 572, 572)),
    "mlp0": (perceptron, (2000,)),
    "mobilenet_v1:0.5-160": (lambda: mobilenet_v1(0.5), 160),
    "mobilenet_v1:0.25-128": (lambda: mobilenet_v1(0.25), 128),
    "mobilenet_v2:1.4-224": (lambda: mobilenet_v2(1.4), 224),
    "mobilenet_v2:0.35-96": (lambda: mobilenet_v2(0.35), 96),
    **{f"merkel:L{depth}": (partial(merkel, depth), 32) for depth in range(1, 12)},
}
"""Built-in name: how to make the module, and the size of its image of three channels, or the whole shape of its
input."""


def on_meta(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The module without weights, ready for inference, and an input for it."""
    make, size = MODULES[name]
    with torch.device("meta"):
        return make().eval(), torch.empty(1, *((3, size, size) if isinstance(size, int) else size))
