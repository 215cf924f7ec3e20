"""SSD with a VGG-16 backbone: six maps of features, each with a head for classes and one for boxes."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.builtin.vgg import STAGES
from picojoule.workload.network import Network

BOXES = (4, 6, 6, 6, 4, 4)
"""Default boxes for each place of the six maps."""
COCO_CLASSES = 91
VOC_CLASSES = 21
PAPER = "Liu et al.: SSD, ECCV 2016 (arXiv 1512.02325)"


def ssd300_vgg16() -> Network:
    """SSD for 300 × 300 images and COCO: 34.9 G MACs, 35.6 M parameters."""
    return _ssd(
        "ssd300_vgg16",
        (300, 300),
        COCO_CLASSES,
        "300 × 300 input, 91 classes of COCO, up to the shares of classes; boxes are not decoded",
        f"{PAPER}; layout of torchvision's ssd300_vgg16",
    )


def ssd_vgg16_360x480() -> Network:
    """SSD for 360 × 480 images, as an edge device sees a road: 59.3 G MACs, 26.3 M parameters."""
    return _ssd(
        "ssd_vgg16:360x480",
        (360, 480),
        VOC_CLASSES,
        "360 × 480 input; heads and 21 classes as SSD300 has for VOC, an assumption; boxes are not decoded",
        f"{PAPER}; the size of Xilinx's VGG-SSD, whose heads are not published",
    )


def _ssd(name: str, size: tuple[int, int], classes: int, variant: str, source: str) -> Network:
    chain, maps = Chain(3, size), []
    for stage, (channels, convolutions) in enumerate(STAGES, start=1):
        for index in range(1, convolutions + 1):
            chain.conv(f"conv{stage}_{index}", channels, 3, pad=1, bias=True)
        if stage == 4:
            before_norm = chain.at
            chain.l2_norm("conv4_3_norm")
            maps.append(chain.at)
            chain.at = before_norm
        if stage < 5:
            chain.max_pool(f"pool{stage}", 2, 2, ceil=stage == 3)
    chain.max_pool("pool5", 3, 1, pad=1)
    chain.conv("fc6", 1024, 3, pad=6, dilation=6, bias=True)
    chain.conv("fc7", 1024, 1, bias=True)
    maps.append(chain.at)
    for stage, (squeezed, channels, stride, pad) in enumerate(
        ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0)), start=8
    ):
        chain.conv(f"conv{stage}_1", squeezed, 1, bias=True)
        chain.conv(f"conv{stage}_2", channels, 3, stride=stride, pad=pad, bias=True)
        maps.append(chain.at)
    scores, boxes = [], []
    for source_map, count in zip(maps, BOXES, strict=True):
        for results, kind, each in ((scores, "conf", classes), (boxes, "loc", 4)):
            chain.at = source_map
            chain.conv(f"{source_map.maker}_{kind}", count * each, 3, pad=1, bias=True)
            results.append(chain.at)
    chain.flat_concat("loc", boxes)
    locations = chain.at
    chain.flat_concat("conf", scores)
    chain.softmax("conf_softmax")
    chain.leave_out("DetectionOutput", "detections")
    assert locations.elements // 4 == chain.at.elements // classes
    return chain.network(name, variant=variant, source=source)
