"""Networks of fewer bits: INT8 as ONNX Runtime runs it, and 2 to 8 bits by layer."""

from __future__ import annotations

import onnx
import pytest
import torch
from support import digit_network

from picojoule.compress import quantize, reload
from picojoule.compress.bits import bits_within_mean, sensitivity_to_bits
from picojoule.compress.int8 import CALIBRATIONS, quantize_int8
from picojoule.compress.layers import weight_count, weighted
from picojoule.errors import UsageError


def test_int8_has_quantized_weights_by_filter_and_loses_little(eight_bits):
    result, folder = eight_bits
    assert result.accuracy_after > result.accuracy_before - 0.02
    scores = result.steps[0]["calibrations"]
    assert set(scores) == set(CALIBRATIONS)
    graph = onnx.load(folder / result.files["int8"]).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    scales = {t.name: t.dims for t in graph.initializer if t.name.endswith("_scale")}
    assert any(list(dims) == [16] for dims in scales.values()), "a scale for each of 16 filters"
    assert result.before.measured_ms and result.after.measured_ms
    slower = [remark for remark in result.remarks if "slower than float32 here" in remark]
    assert bool(slower) == (result.after.measured_ms > result.before.measured_ms)


def test_mixed_bits_meet_the_mean_and_every_filter_has_so_few_values(mixed_bits):
    result, folder = mixed_bits
    bits = result.steps[0]["bits"]
    assert result.met
    assert result.used <= 4
    assert result.after.energy < result.before.energy
    assert result.after.bytes < 0.6 * result.before.bytes
    assert result.before.measured_ms and result.after.measured_ms
    assert result.accuracy_after > result.accuracy_before - 0.05
    module = reload(digit_network.trained(), digit_network.EXAMPLE, folder=folder)
    for name, layer in weighted(module).items():
        assert all(len(filter_.unique()) <= 2 ** bits[name] - 1 for filter_ in layer.weight)
    assert result.after.weights == weight_count(module) < result.before.weights
    assert result.after.executed_macs < result.before.executed_macs


@pytest.mark.parametrize("budget", ["75%", "3 kB"])
def test_bits_are_chosen_within_energy_and_within_bytes(tmp_path, budget):
    result = quantize(
        digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-methodology", output=tmp_path / "out", budget=budget,
        evaluate=digit_network.accuracy, calibrate=digit_network.batches, train=lambda *_, **__: None,
    )  # fmt: skip
    assert result.met
    assert result.used <= result.limit
    assert result.used == (result.after.energy if result.kind == "energy" else result.after.bytes)
    bits = result.steps[0]["bits"]
    assert len(set(bits.values())) > 1
    weights = {name: layer.weight.numel() for name, layer in weighted(digit_network.trained()).items()}
    biases = result.before.bytes - sum(weights.values())
    assert biases > 0
    assert result.after.bytes == pytest.approx(biases + sum(weights[name] * bits[name] for name in bits) / 8)


def test_what_is_more_sensitive_gets_more_bits():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Linear(16, 16))
    grown = {"0": {width: 0.0 for width in range(8, 1, -1)}, "1": {width: 8.0 - width for width in range(8, 1, -1)}}
    assert bits_within_mean(5, module, grown) == {"0": 2, "1": 8}
    assert bits_within_mean(1.5, module, grown) is None


def test_damage_grows_as_bits_fall():
    grown = sensitivity_to_bits(digit_network.trained(), digit_network.batches())
    for row in grown.values():
        damages = [row[width] for width in range(8, 1, -1)]
        assert damages == sorted(damages)
        assert damages[-1] > 10 * damages[0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"budget": "50%", "mean_bits": 4}, "not both"),
        ({"mean_bits": 9}, "a mean of 2 to 8 bits is possible, got 9"),
        ({"budget": "3 MMACs"}, "not one of macs"),
        ({"budget": "1.2mJ"}, "eyeriss-methodology counts energy in mac16, not in joules"),
    ],
)
def test_bad_requests_are_refused_in_words(tmp_path, other, message):
    with pytest.raises(UsageError, match=message):
        quantize(
            digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-methodology", output=tmp_path / "out",
            evaluate=digit_network.accuracy, calibrate=digit_network.batches, **other,
        )  # fmt: skip


def test_calibrations_that_do_not_exist_and_no_images_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown calibration 'median'"):
        quantize_int8(tmp_path / "a.onnx", tmp_path / "b.onnx", [0], method="median")
    with pytest.raises(UsageError, match="at least one batch"):
        quantize_int8(tmp_path / "a.onnx", tmp_path / "b.onnx", [])
