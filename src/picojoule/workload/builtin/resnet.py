"""ResNets for ImageNet (18; 50 as v1 and v1.5) and for CIFAR-10 (20, 32, 56)."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain, Tensor
from picojoule.workload.network import Network

IMAGENET_SOURCE = "He et al.: Deep residual learning for image recognition, CVPR 2016 (arXiv 1512.03385), table 1"
STAGE_CHANNELS = (64, 128, 256, 512)


def resnet18() -> Network:
    """ResNet-18 for 224 × 224 images: 1.81 G MACs, 11.7 M parameters."""
    chain = _stem()
    for stage, channels in enumerate(STAGE_CHANNELS, start=1):
        for block in range(2):
            stride = 2 if stage > 1 and block == 0 else 1
            _basic_block(chain, f"layer{stage}.{block}", channels, stride)
    return _head(chain, "resnet18", "projection shortcuts where the shape changes (option B)", IMAGENET_SOURCE)


def resnet50() -> Network:
    """ResNet-50 v1 for 224 × 224 images: 3.86 G MACs, 25.5 M parameters."""
    return _resnet50("resnet50", "v1: a stage's stride is in its first 1 × 1 convolution", 2, 1, IMAGENET_SOURCE)


def resnet50_v1_5() -> Network:
    """ResNet-50 v1.5 for 224 × 224 images: 4.09 G MACs, 25.5 M parameters."""
    source = f"{IMAGENET_SOURCE}; stride moved as in torchvision's resnet50 and NVIDIA's v1.5"
    return _resnet50("resnet50_v1.5", "v1.5: a stage's stride is in its first 3 × 3 convolution", 1, 2, source)


def resnet_cifar(depth: int) -> Network:
    """A CIFAR-10 ResNet of 6n + 2 layers with parameter-free shortcuts: 20, 32, 44, 56, 110."""
    if depth % 6 != 2 or depth < 8:
        raise ValueError(f"a CIFAR ResNet has 6n + 2 layers, got {depth}")
    chain = Chain(3, 32)
    chain.conv("conv1", 16, 3, pad=1)
    for stage, channels in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 1 and block == 0 else 1
            entry = chain.at
            _two_convolutions(chain, f"layer{stage}.{block}", channels, stride)
            # Every other row and column of the entry, and zeros for the new channels: those are not read.
            shortcut = entry.channels * chain.at.rows * chain.at.columns
            chain.add(f"layer{stage}.{block}.add", entry, read_of_other=shortcut)
    chain.global_pool("avgpool")
    chain.fc("linear", 10)
    return chain.network(
        f"resnet{depth}",
        variant="CIFAR-10, 32 × 32 input, parameter-free shortcuts (option A), up to the logits",
        source="He et al.: Deep residual learning for image recognition, CVPR 2016 (arXiv 1512.03385), section 4.2; "
        "module paths of akamaster/pytorch_resnet_cifar10",
    )


def _stem() -> Chain:
    chain = Chain(3, 224)
    chain.conv("conv1", 64, 7, stride=2, pad=3)
    chain.max_pool("maxpool", 3, 2, pad=1)
    return chain


def _head(chain: Chain, name: str, variant: str, source: str) -> Network:
    chain.global_pool("avgpool")
    chain.fc("fc", 1000)
    return chain.network(
        name,
        variant=f"{variant}, 224 × 224 input, up to the logits",
        source=f"{source}; module paths of torchvision",
    )


def _resnet50(name: str, variant: str, first_stride: int, middle_stride: int, source: str) -> Network:
    chain = _stem()
    for stage, (channels, blocks) in enumerate(zip(STAGE_CHANNELS, (3, 4, 6, 3), strict=True), start=1):
        for block in range(blocks):
            strides = (first_stride, middle_stride) if stage > 1 and block == 0 else (1, 1)
            _bottleneck(chain, f"layer{stage}.{block}", channels, strides)
    return _head(chain, name, variant, source)


def _two_convolutions(chain: Chain, name: str, channels: int, stride: int) -> None:
    chain.conv(f"{name}.conv1", channels, 3, stride=stride, pad=1)
    chain.conv(f"{name}.conv2", channels, 3, pad=1)


def _basic_block(chain: Chain, name: str, channels: int, stride: int) -> None:
    entry = chain.at
    _two_convolutions(chain, name, channels, stride)
    _projection_and_add(chain, name, entry, stride)


def _bottleneck(chain: Chain, name: str, channels: int, strides: tuple[int, int]) -> None:
    entry = chain.at
    chain.conv(f"{name}.conv1", channels, 1, stride=strides[0])
    chain.conv(f"{name}.conv2", channels, 3, stride=strides[1], pad=1)
    chain.conv(f"{name}.conv3", 4 * channels, 1)
    _projection_and_add(chain, name, entry, strides[0] * strides[1])


def _projection_and_add(chain: Chain, name: str, entry: Tensor, stride: int) -> None:
    """The shortcut, by a 1 × 1 convolution where the shape changes, runs last, as in torchvision."""
    main, shortcut = chain.at, entry
    if entry.shape != main.shape:
        chain.at = entry
        chain.conv(f"{name}.downsample.0", main.channels, 1, stride=stride)
        shortcut, chain.at = chain.at, main
    chain.add(f"{name}.add", shortcut)
