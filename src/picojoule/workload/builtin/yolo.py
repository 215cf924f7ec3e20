"""YOLOv3: Darknet-53 and three detection heads."""

from __future__ import annotations

import itertools

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Channels and residual blocks of each stage; a 3 × 3 convolution of stride 2 leads into it."""
PREDICTIONS = 3 * (80 + 5)
"""Three boxes for each place: 80 classes of COCO, four coordinates, one confidence."""


def yolov3() -> Network:
    """YOLOv3 for 416 × 416 images: 32.9 G MACs, 61.9 M parameters."""
    chain, section = Chain(3, 416), itertools.count()

    def conv(channels: int, kernel: int, stride: int = 1) -> None:
        chain.conv(f"conv_{next(section)}", channels, kernel, stride=stride, pad=kernel // 2)

    conv(32, 3)
    ends = []
    for channels, blocks in STAGES:
        conv(channels, 3, stride=2)
        for _ in range(blocks):
            entry = chain.at
            conv(channels // 2, 1)
            conv(channels, 3)
            chain.add(f"shortcut_{next(section)}", entry)
        ends.append(chain.at)
    for channels, skip in ((512, None), (256, ends[3]), (128, ends[2])):
        if skip is not None:
            next(section)  # a route back to where the head before branched off
            conv(channels, 1)
            chain.resize(f"upsample_{next(section)}", skip.size)
            chain.concat(f"route_{next(section)}", [chain.at, skip])
        for _ in range(2):
            conv(channels, 1)
            conv(2 * channels, 3)
        conv(channels, 1)
        branch = chain.at
        conv(2 * channels, 3)
        chain.conv(f"conv_{next(section)}", PREDICTIONS, 1, bias=True)
        chain.leave_out("YoloDetection", f"yolo_{next(section)}")
        chain.at = branch
    return chain.network(
        "yolov3",
        variant="416 × 416 input, 80 classes, up to the three maps of predictions; numbers are sections of yolov3.cfg",
        source="Redmon, Farhadi: YOLOv3, arXiv 1804.02767; layout of pjreddie/darknet, cfg/yolov3.cfg",
    )
