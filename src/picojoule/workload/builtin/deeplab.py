"""DeepLab v3 on MobileNet v2: segmentation of a picture on a mobile phone."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.builtin.mobilenet import backbone_v2
from picojoule.workload.network import Network

CLASSES = 21


def deeplabv3_mobilenet_v2() -> Network:
    """DeepLab v3 for 513 × 513 images, output stride 16: 2.74 G MACs, 2.08 M parameters."""
    chain = Chain(3, 513)
    backbone_v2(chain, 1.0, output_stride=16)
    features = chain.at
    chain.global_pool("image_pooling.pool")
    chain.conv("image_pooling.conv", 256, 1)
    chain.resize("image_pooling.resize", features.size, bilinear=True)
    pooled, chain.at = chain.at, features
    chain.conv("aspp0", 256, 1)
    chain.concat("concat", [pooled, chain.at])
    chain.conv("concat_projection", 256, 1)
    chain.conv("logits", CLASSES, 1, bias=True)
    chain.resize("resize", (513, 513), bilinear=True)
    chain.arg_max("classes")
    return chain.network(
        "deeplabv3_mobilenet_v2",
        variant="513 × 513 input, output stride 16, on the 320 channels of the last block, without dilated pooling "
        "pyramid (one 1 × 1 branch and the pooled image), no decoder, 21 classes of VOC, TensorFlow's SAME padding",
        source="Sandler et al.: MobileNetV2, CVPR 2018 (arXiv 1801.04381), section 6.3 and table 7; "
        "layout of tensorflow/models, research/deeplab, mobilenetv2_coco_voc_trainaug",
    )
