"""AlexNet as Caffe ships it: one column with the two groups of the original two-GPU network."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network


def alexnet() -> Network:
    """AlexNet with groups, for 227 × 227 images: 724 M MACs, 61.0 M parameters."""
    chain = Chain(3, 227)
    chain.conv("conv1", 96, 11, stride=4, bias=True)
    chain.local_norm("norm1")
    chain.max_pool("pool1", 3, 2, ceil=True)
    chain.conv("conv2", 256, 5, pad=2, groups=2, bias=True)
    chain.local_norm("norm2")
    chain.max_pool("pool2", 3, 2, ceil=True)
    chain.conv("conv3", 384, 3, pad=1, bias=True)
    chain.conv("conv4", 384, 3, pad=1, groups=2, bias=True)
    chain.conv("conv5", 256, 3, pad=1, groups=2, bias=True)
    chain.max_pool("pool5", 3, 2, ceil=True)
    chain.fc("fc6", 4096)
    chain.fc("fc7", 4096)
    chain.fc("fc8", 1000)
    chain.softmax("prob")
    return chain.network(
        "alexnet",
        variant="grouped (conv2, conv4, conv5 in two groups), 227 × 227 input, normalisation before pooling",
        source="Krizhevsky et al.: ImageNet classification with deep CNNs, NIPS 2012; layout of Caffe's bvlc_alexnet",
    )
