"""Xilinx' DPU (DPUCZDX8G, PG338) against our ``dpu-v1`` and ``dpu-v2``: its eight sizes, and latencies of its model zoo.

Peaks and parallelism were found in PG338, latencies in the Vitis AI model zoo v1.0 (ZCU104, one of its two B4096 at 305 MHz, one
thread, end to end: pre- and post-processing among it). Ours is the DPU alone, at the least latency of every layer, one after the other:

                          zoo      ours   ours : zoo
    ResNet-50           12.64      7.93      0.63      ms
    MobileNetV1          3.29      2.20      0.67
    MobileNetV2          4.10      2.21      0.54
    VGG-16              48.08     38.2       0.79
    ResNet-50 : MobileNetV2
      operations         12.8      12.8
      latency             3.1       3.6

So the point of document 004 holds, that latency doesn't fall as operations do; by how much is missed by 17 %, since instructions and the
host take a part of a small network that is larger.

From dpu-v1 to dpu-v2 MobileNetV1 becomes 3.9 times faster (8.67 to 2.20 ms), and needs 21 % less energy; DRAM traffic falls by a quarter
as results of depthwise layers stay on the chip. What Hot Chips 30 showed (Figs. 7 and 9) wasn't reached: only that v1 was "less than ideal". That v1
does one group after the other is our reading. Were groups filled up with zeros, so that as many run at once as there are output channels, v1 took
1.74 ms, less than v2 does with its engine of half the pixels: then all that v2 gains is that it runs beside the array, which isn't
modelled.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from support.published import Figure, Table

import picojoule
from picojoule.errors import HardwareError
from picojoule.hardware import Accelerator, load_hardware

EXACT = picojoule.Exact(time_limit_s=None, factors="exact")

SIZES = {  # PP, ICP, OCP, peak operations a cycle; DSPs that the engine for depthwise layers takes
    "B512": (4, 8, 8, 512, 12),
    "B800": (4, 10, 10, 800, 15),
    "B1024": (8, 8, 8, 1024, 24),
    "B1152": (4, 12, 12, 1152, 18),
    "B1600": (8, 10, 10, 1600, 30),
    "B2304": (8, 12, 12, 2304, 36),
    "B3136": (8, 14, 14, 3136, 42),
    "B4096": (8, 16, 16, 4096, 48),
}
DSPS = 710
"""Of B4096 with its engine for depthwise layers."""

FASTEST_DSP_HZ = 891e6
ZOO_MS = {"resnet50": 12.64, "mobilenet_v1": 3.29, "mobilenet_v2": 4.10, "vgg16": 48.08}
MISSED = {"resnet50": -0.373, "mobilenet_v1": -0.331, "mobilenet_v2": -0.462, "vgg16": -0.206}
ALONE = "end to end there; ours is the DPU alone, at full rate of its DRAM, without instructions to wait for"


@cache
def run(network: str, hardware: str = "dpu-v2") -> picojoule.Estimate:
    machine = packed() if hardware == "packed" else load_hardware(hardware)
    return picojoule.estimate(network, hardware=machine, objective="latency", search=EXACT)


def packed() -> Accelerator:
    """A v1 whose compiler fills groups up with zeros: as many at once as there are output channels."""
    machine = load_hardware("dpu-v1")
    array = machine.fanout("unit")
    pixels, channels = array.axes
    wider = replace(array, axes=(pixels, replace(channels, dims=("G", "K"))))
    hierarchy = tuple(wider if entry is array else entry for entry in machine.hierarchy)
    return replace(machine, name="dpu-v1-packed", hierarchy=hierarchy)


def milliseconds(network: str, hardware: str = "dpu-v2") -> float:
    return 1e3 * (run(network, hardware).latency_s or 0.0)


def efficiency(result: picojoule.Estimate) -> float:
    """MACs done, of those that the array could have done in the time."""
    return result.macs / (2048 * (result.latency_cycles or 1.0))


def table() -> Table:
    figures = [
        Figure(what=f"{size}: peak operations a cycle", published=peak, ours=2 * load_hardware(f"dpu-v2:{size}").pes, within=0)
        for size, (_, _, _, peak, _) in SIZES.items()
    ]
    for network, published in ZOO_MS.items():
        figures.append(
            Figure(
                what=f"{network} on B4096 at 305 MHz",
                published=published,
                ours=milliseconds(network),
                unit="ms",
                within=0.1,
                missed=MISSED[network],
                reason=ALONE,
            )
        )
    one, other = run("resnet50"), run("mobilenet_v2")
    figures += [
        Figure(what="ResNet-50 : MobileNetV2, operations", published=12.8, ours=one.macs / other.macs, within=0.005),
        Figure(
            what="ResNet-50 : MobileNetV2, latency",
            published=3.1,
            ours=milliseconds("resnet50") / milliseconds("mobilenet_v2"),
            within=0.1,
            missed=0.16,
            reason="what takes time beside the DPU weighs more in the small network",
        ),
    ]
    old, new = run("mobilenet_v1", "dpu-v1"), run("mobilenet_v1")
    large = run("mobilenet_v1", "dpu-v2:memory=8 MiB")
    return Table(
        title="Xilinx DPU (PG338) and its model zoo",
        source="found: PG338 (sizes), Vitis AI model zoo v1.0, ZCU104, one thread, end to end (latencies).",
        how="`dpu-v2`, a single B4096 at 305 MHz, least latency, exact factors; energies are estimated.",
        figures=tuple(figures),
        remarks=(
            f"MobileNetV1 takes {milliseconds('mobilenet_v1', 'dpu-v1'):.2f} ms on `dpu-v1`, which runs depthwise layers one group after the other on its dense array, and "
            f"{milliseconds('mobilenet_v1'):.2f} ms on `dpu-v2`: {old.latency_cycles / new.latency_cycles:.1f} times less, with {1 - new.energy_pj / old.energy_pj:.0%} less energy and "
            f"{1 - new.dram_bytes / old.dram_bytes:.0%} less DRAM traffic. Were groups packed with zeros on `dpu-v1`, it took {milliseconds('mobilenet_v1', 'packed'):.2f} ms: which of the two a "
            "DPUv1 did isn't known (Hot Chips 30's bars weren't reached), nor is that the engine of v2 runs beside the array modelled.",
            f"`dpu-v2` uses {efficiency(new):.0%} of its array on MobileNetV1, {efficiency(large):.0%} with 8 MiB on the chip, and "
            f"{efficiency(one):.0%} on ResNet-50. Document 004's “on-par with our ResNet50 results” by more memory isn't reproduced: layer by layer, pointwise "
            "layers keep reading and writing DRAM.",
        ),
    )


def test_the_figures_but_for_deviations_on_record():
    assert table().complaints == []


@pytest.mark.parametrize("family", ["dpu-v1", "dpu-v2"])
@pytest.mark.parametrize("size", SIZES)
def test_the_sizes_by_their_parallelism(family, size):
    pixels, inputs, outputs, peak, _ = SIZES[size]
    machine = load_hardware(f"{family}:{size}")
    assert 2 * machine.pes == peak == 2 * pixels * inputs * outputs
    assert machine.name == f"{family}-{size}"
    engines = [fanout.depthwise for fanout in machine.fanouts if fanout.depthwise is not None]
    assert len(engines) == (2 if family == "dpu-v2" else 0)
    if engines:
        positions = [axis.size for axis in engines[0].axes]
        assert positions == [pixels // 2, inputs], "half the pixels, and a channel for each of the array's inputs"


def test_the_default_is_the_core_of_a_zcu104():
    for family in ("dpu-v1", "dpu-v2"):
        assert replace(load_hardware(family), name="", resolved="") == replace(
            load_hardware(f"{family}:B4096"), name="", resolved=""
        )
    machine = load_hardware("dpu-v2")
    assert machine.clock_hz == 305e6
    assert 2 * machine.pes * machine.clock_hz == pytest.approx(1249e9, rel=1e-3)


def test_no_more_than_two_multiplications_a_cycle_of_every_dsp():
    """DSPs run at twice the clock of the array; the array's own are those that give its peak, and there are more than these."""
    machine = load_hardware("dpu-v2")
    assert machine.clock_hz is not None
    needed = machine.pes * machine.clock_hz / (2 * 2 * machine.clock_hz)
    assert needed == 512 <= DSPS
    assert machine.pes * machine.clock_hz <= 2 * DSPS * FASTEST_DSP_HZ
    assert 2 * machine.clock_hz <= FASTEST_DSP_HZ
    assert load_hardware("dpu-v2:clock=445.5 MHz").clock_hz == FASTEST_DSP_HZ / 2
    with pytest.raises(HardwareError, match="a clock of 446 MHz, and the machine reaches 445.5 MHz"):
        load_hardware("dpu-v2:clock=446 MHz")


def test_latency_falls_less_than_operations_do():
    operations = run("resnet50").macs / run("mobilenet_v2").macs
    latency = milliseconds("resnet50") / milliseconds("mobilenet_v2")
    assert 12.5 < operations < 13
    assert latency < 4


def test_the_engine_and_what_stays_on_the_chip():
    old, new = run("mobilenet_v1", "dpu-v1"), run("mobilenet_v1")
    assert 3.5 < old.latency_cycles / new.latency_cycles < 4.5
    assert new.energy_pj < 0.85 * old.energy_pj
    stays = {row.name for row in new.layers if "outputs" in row.stays}
    assert stays == {row.name for row in new.layers if row.dims and row.dims["G"] > 1}
    for row in new.layers:
        at_dram = {access.tensor for access in row.by if access.level == "DRAM"}
        assert not at_dram & set(row.stays)
        if row.dims and row.dims["G"] > 1:
            assert row.compute_cycles >= row.macs / (4 * 16)


def test_memory_on_the_chip_is_a_parameter():
    """What takes time is the engine and the port of DRAM one way; more memory spares traffic."""
    results = [run("mobilenet_v1", f"dpu-v2:memory={size}") for size in ("256 KiB", "512 KiB", "1147 KiB")]
    traffic = [result.dram_bytes for result in results]
    assert traffic[0] > traffic[1] > traffic[2]
    stay = [sum("outputs" in row.stays for row in result.layers) for result in results]
    assert stay[0] < stay[1] < stay[2] == 13
    for small, large in zip(results, results[1:], strict=False):
        assert small.latency_cycles >= large.latency_cycles


def test_results_are_marked_and_verify():
    for hardware in ("dpu-v1", "dpu-v2"):
        result = run("mobilenet_v1", hardware)
        assert result.table["estimated"]
        assert picojoule.verify(result).ok
