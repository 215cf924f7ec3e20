"""Networks that picojoule knows by name: laid out by code, without a download and without their weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from picojoule.errors import UnknownNameError, nearest
from picojoule.workload.builtin import (
    alexnet,
    deeplab,
    googlenet,
    merkel,
    mobilenet,
    resnet,
    squeezenet,
    ssd,
    tpu,
    transformer,
    unet,
    vgg,
    yolo,
)
from picojoule.workload.network import Network

_PLAIN: dict[str, Callable[[], Network]] = {
    "alexnet": alexnet.alexnet,
    "vgg16": vgg.vgg16,
    "googlenet": googlenet.googlenet,
    "resnet18": resnet.resnet18,
    "resnet50": resnet.resnet50,
    "resnet50_v1.5": resnet.resnet50_v1_5,
    "squeezenet1.0": squeezenet.squeezenet_1_0,
    "squeezenet1.1": squeezenet.squeezenet_1_1,
    "mobilenet_v1": mobilenet.mobilenet_v1,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "resnet20": partial(resnet.resnet_cifar, 20),
    "resnet32": partial(resnet.resnet_cifar, 32),
    "resnet56": partial(resnet.resnet_cifar, 56),
    "yolov3": yolo.yolov3,
    "ssd300_vgg16": ssd.ssd300_vgg16,
    "unet": unet.unet,
    "deeplabv3_mobilenet_v2": deeplab.deeplabv3_mobilenet_v2,
    "vit_b16": transformer.vit_b16,
    "bert_base": transformer.bert_base,
    "mlp0": tpu.mlp0,
    "lstm0": tpu.lstm0,
}
_FAMILIES: dict[str, dict[str, Callable[[], Network]]] = {
    "mobilenet_v1": {variant: partial(mobilenet.mobilenet_v1, variant) for variant in mobilenet.V1_VARIANTS},
    "mobilenet_v2": {variant: partial(mobilenet.mobilenet_v2, variant) for variant in mobilenet.V2_VARIANTS},
    "merkel": {f"L{depth}": partial(merkel.merkel, depth) for depth in merkel.DEPTHS},
    "ssd_vgg16": {"360x480": ssd.ssd_vgg16_360x480},
    "llm": {f"1b-{form}": partial(transformer.llm_1b, form) for form in ("prefill", "decode")},
}
"""Members of a family are asked for as FAMILY:MEMBER."""


def builtin_names() -> tuple[str, ...]:
    """Every name that `builtin_network` takes: plain ones first, then members of families.

    >>> "resnet18" in builtin_names() and "mobilenet_v1:0.5-128" in builtin_names()
    True
    """
    members = (f"{family}:{member}" for family, table in _FAMILIES.items() for member in table)
    return (*_PLAIN, *members)


def builtin_network(name: str) -> Network:
    """The built-in network of that name, for a batch of one.

    Args:
        name: ``"resnet18"``, ``"mobilenet_v1:0.5-128"``; ``builtin_names()`` has them all.

    Raises:
        UnknownNameError: there is none; the hint names the nearest spelling.

    >>> builtin_network("resnet18").macs
    1814073344
    """
    family, _, member = name.partition(":")
    build = _FAMILIES.get(family, {}).get(member) if member else _PLAIN.get(name)
    if build is None:
        raise UnknownNameError(f"no built-in network is called {name!r}", hint=nearest(name, _candidates(family)))
    return build()


def _candidates(family: str) -> list[str]:
    """What a misspelt name may have meant: the members of its family if that is right, else everything short."""
    if family in _FAMILIES:
        return [f"{family}:{member}" for member in _FAMILIES[family]]
    alone = [family for family in _FAMILIES if family not in _PLAIN]
    return [*_PLAIN, *(f"{family}:{member}" for family in alone for member in _FAMILIES[family])]
