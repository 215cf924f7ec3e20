"""Digits networks made smaller, once for all tests that look at them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import digit_network

from picojoule.compress import prune, quantize
from picojoule.compress.task import TUNING

RECIPE = replace(TUNING, epochs=2, batch=64, augment=False, precision="float32")


@pytest.fixture(scope="session")
def pruned(tmp_path_factory):
    """By energy, within 60 %: the result, its folder, and how to ask for it again."""

    def ask(folder, **other):
        arguments = {
            "hardware": "eyeriss-methodology", "budget": "60%", "criterion": "energy", "data": "digits", "recipe": RECIPE,
            "output": folder,
        }  # fmt: skip
        return prune(digit_network.trained(), digit_network.EXAMPLE, **arguments | other)

    folder = tmp_path_factory.mktemp("pruned") / "energy"
    return ask(folder), folder, ask


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """Fewer channels, within 90 % of the MACs."""
    pytest.importorskip("torch_pruning")
    folder = tmp_path_factory.mktemp("narrow") / "channels"
    result = prune(
        digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-methodology", budget="90%", of="macs",
        criterion="channels", grid=4, keep=["block.conv1", "block.conv2"], data="digits", recipe=RECIPE, output=folder,
    )  # fmt: skip
    return result, folder


@pytest.fixture(scope="session")
def eight_bits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized") / "int8"
    result = quantize(
        digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-v2", data="digits", output=folder
    )
    return result, folder


@pytest.fixture(scope="session")
def mixed_bits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized") / "mixed"
    result = quantize(
        digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-methodology", mean_bits=4, data="digits",
        recipe=RECIPE, output=folder,
    )  # fmt: skip
    return result, folder
