"""Class channels as arithmetic: what of a network depends on the number of classes."""

from __future__ import annotations

import pytest

from picojoule.errors import UsageError
from picojoule.workload import builtin_network
from picojoule.workload.class_channels import with_fewer_classes


def test_a_detectors_class_head_is_its_convolutions_of_scores():
    network = builtin_network("ssd_vgg16:360x480")
    found = with_fewer_classes(network, 21, 5)
    assert len(found.head) == len(found.other_heads) == 6
    assert all(name.endswith("_conf") for name in found.head)
    assert all(name.endswith("_loc") for name in found.other_heads)
    # 4, 6, 6, 6, 4, 4 boxes at each place of the maps, 3 × 3 filters on so many channels.
    places = [(45 * 60, 4, 512), (22 * 30, 6, 1024), (11 * 15, 6, 512), (6 * 8, 6, 256), (4 * 6, 4, 256), (2 * 4, 4, 256)]
    head = sum(place * boxes * channels * 9 for place, boxes, channels in places)
    assert (found.head_macs, found.kept_macs) == (21 * head, 5 * head)
    assert found.macs - found.network.macs == 16 * head
    assert found.macs == found.backbone_macs + found.head_macs + found.other_macs
    rows = {layer.name: layer for layer in found.network.layers}
    before = {layer.name: layer for layer in network.layers}
    for name in ("conf", "conf_softmax"):
        assert rows[name].written_elements * 21 == before[name].written_elements * 5
    assert rows["loc"] == before["loc"]


def test_document_000s_117_gops_become_17_by_no_number_of_classes():
    """Marked as it is: 117 to 17 GOPs is 85.5 % less; all class channels together are 3.3 % of the network."""
    network = builtin_network("ssd_vgg16:360x480")
    assert 2 * network.macs == pytest.approx(117e9, rel=0.015)
    least = with_fewer_classes(network, 21, 1)
    assert least.head_macs / least.macs == pytest.approx(0.033, abs=5e-4)
    assert 2 * least.network.macs > 6.7 * 17e9


def test_a_classifiers_head_is_its_last_layer():
    found = with_fewer_classes(builtin_network("resnet18"), 1000, 10)
    assert found.head == ("fc",) and found.other_heads == ()
    assert found.network.params == builtin_network("resnet18").params - 990 * 513


@pytest.mark.parametrize(
    ("now", "kept", "message"),
    [(20, 5, "no last layer has a multiple of 20 channels"), (21, 21, "fewer classes than 21"), (21, 0, "at least 1")],
)
def test_what_is_no_smaller_head_is_refused(now, kept, message):
    with pytest.raises(UsageError, match=message):
        with_fewer_classes(builtin_network("ssd_vgg16:360x480"), now, kept)
