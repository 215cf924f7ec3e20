"""Eyexam on machines and layers small enough to be worked out by hand, and what ``explain`` refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import picojoule
from picojoule.analysis import LayerExplanation, explain
from picojoule.analysis.eyexam.exchange import exchanges
from picojoule.errors import ResultFileError, UsageError
from picojoule.hardware import Accelerator, load_hardware
from picojoule.hardware.accelerator import Axis, FanOut, Level, MacEnergy, uniform_energies
from picojoule.search.policy import Exact
from picojoule.workload import Layer, Nest, Network
from picojoule.workload.nest import Bits
from picojoule.workload.zeros import Zeros

WORD = Bits(weights=8, inputs=8, outputs=8, psums=8)
EXACT = Exact(time_limit_s=None)


def machine(
    *, size: int = 8, dims: str = "K", capacity_bits: int | None = None, bits_per_cycle: float | None = None, **more: Any
) -> Accelerator:
    """DRAM of one bandwidth each way, an array of one side, and a memory for inputs, weights and outputs in every PE."""
    outer = Level(
        name="DRAM", keeps=("weights", "inputs", "outputs"), word_bits=8, energy_per_word=uniform_energies(read=100, write=100, update=100),
        read_bits_per_cycle=bits_per_cycle, write_bits_per_cycle=bits_per_cycle,
    )  # fmt: skip
    inner = Level(
        name="spad", keeps=("weights", "inputs", "outputs"), word_bits=8, capacity_bits=capacity_bits,
        energy_per_word=uniform_energies(read=1, write=1, update=1),
    )  # fmt: skip
    array = FanOut(name="PE", axes=(Axis(name="x", size=size, dims=tuple(dims)),))
    mac = MacEnergy(bits=8, multiply=1.0)
    return Accelerator(name="hand", hierarchy=(outer, array, inner), unit="pJ", bits=WORD, mac=mac, **more)


def explained(nest: Nest, on: Accelerator, objective: str = "latency", repeats: int = 1) -> LayerExplanation:
    network = Network(name="one", layers=(Layer(name="only", kind="conv", nest=nest, repeats=repeats),))
    result = picojoule.estimate(network, hardware=on, objective=objective, search=EXACT)
    found = explain(result, search=EXACT).layers[0]
    assert found.steps[-1].macs_per_cycle == pytest.approx(result.macs / result.latency_cycles, rel=1e-12)
    return found


def rates(found: LayerExplanation) -> list[float]:
    return [step.macs_per_cycle for step in found.steps]


def test_a_layer_that_no_step_but_the_shape_and_the_array_binds():
    """12 output channels on 8 PEs: two rounds, the second half empty: 6 at work on average."""
    found = explained(Nest(K=12, C=5), machine())
    assert rates(found) == pytest.approx([60, 12, 6, 6, 6, 6, 6, 6])
    assert [step.loss for step in found.steps] == pytest.approx([0, 0.8, 0.5, 0, 0, 0, 0, 0])
    assert all(step.exact for step in found.steps)
    assert (found.saturation.achieved, found.saturation.stall, found.saturation.lost) == (0.75, "number of PEs", 0.25)
    assert found.saturation.waits_for is None


def test_two_sides_of_an_array_lose_what_a_line_of_pes_would_not():
    """15 channels in 4 rounds on 4 PEs, but on 2 × 2, of which one side takes K alone, 8 rounds for C = 1."""
    one = machine(size=2)
    sides = (Axis(name="x", size=2, dims=("K",)), Axis(name="y", size=2, dims=("C",)))
    array = replace(one.hierarchy[1], axes=sides)
    two = replace(one, hierarchy=(one.hierarchy[0], array, one.hierarchy[2]))
    found = explained(Nest(K=15), two)
    assert rates(found)[:4] == pytest.approx([15, 15, 15 / 4, 15 / 8])
    assert found.saturation.stall == "physical array"


def test_a_memory_too_small_for_the_spread_costs_rate():
    """A level outside the array must hold what all PEs work on: eight weights of 8 bits, an input, and eight outputs."""
    base = machine(size=8)
    buffer = replace(base.levels[1], name="GLB", capacity_bits=None)
    for capacity, reached in ((8 * 17, 8), (8 * 17 - 1, 16 / 3), (8 * 9, 4), (8 * 9 - 1, 16 / 6)):
        small = replace(buffer, capacity_bits=capacity)
        on = replace(base, hierarchy=(base.hierarchy[0], small, *base.hierarchy[1:]))
        found = explained(Nest(K=16), on)
        assert rates(found)[3] == 8
        assert rates(found)[4] == pytest.approx(reached), capacity
        assert (found.saturation.stall == "storage") == (reached < 8)


def test_a_slow_memory_costs_rate_at_the_bandwidth_and_tightens_the_roofline():
    """40 weights and 5 inputs of 8 bits at 8 bits a cycle: 45 cycles for 40 MACs."""
    found = explained(Nest(K=8, C=5), machine(bits_per_cycle=8))
    assert rates(found)[4:] == pytest.approx([8, 40 / 45, 40 / 45, 40 / 45])
    assert (found.saturation.stall, found.saturation.waits_for) == ("average bandwidth", "DRAM reads")
    assert 0 < found.saturation.waiting <= 1 - 5 / 45
    roof = found.roofline
    assert (roof.peak_macs_per_cycle, roof.usual_macs_per_cycle) == (8, pytest.approx(40 / 45))
    assert roof.achieved_macs_per_cycle <= roof.tightened_macs_per_cycle <= roof.usual_macs_per_cycle
    lowest = roof.ceilings[0]
    assert (lowest.level, lowest.port, lowest.macs_per_bit) == ("DRAM", "reads", pytest.approx(40 / 360))


def test_the_chosen_mapping_may_idle_the_array_to_save_energy():
    """Without multicast every PE fetches the inputs for itself: least energy is to use one."""
    base = machine()
    array = replace(base.hierarchy[1], multicast=False)
    on = replace(base, hierarchy=(base.hierarchy[0], array, base.hierarchy[2]))
    found = explained(Nest(K=8, C=5), on, "energy")
    assert rates(found)[-2:] == [8, 1]
    assert found.saturation.stall == "chosen mapping"
    assert "was found for least energy" in found.steps[-1].sentence


def test_energy_falls_with_macs_per_dram_bit():
    """45 elements in and 8 out, at 100 pJ each: 13.25 pJ for each of 8 bits; 40 MACs."""
    found = explained(Nest(K=8, C=5), machine(), "energy").energy_roofline
    assert found.macs_per_dram_bit == found.compulsory_macs_per_dram_bit == pytest.approx(40 / (53 * 8))
    assert found.pj_per_dram_bit == pytest.approx(12.5)
    assert found.pj_per_mac == pytest.approx(found.on_chip_pj_per_mac + 12.5 / found.macs_per_dram_bit)
    assert found.balance_macs_per_dram_bit == pytest.approx(12.5 / found.on_chip_pj_per_mac)
    assert found.floor_pj_per_mac <= found.pj_per_mac


def test_communication_and_compute_are_inverse_and_reuse_is_macs_per_element():
    found = explained(Nest(K=8, C=5), machine())
    assert found.communication.communication_per_compute == pytest.approx(53 / 80)
    assert found.communication.compute_per_communication == pytest.approx(80 / 53)
    assert {r.tensor: r.most for r in found.reuse} == {"weights": 1, "inputs": 8, "outputs": 5}
    assert all(r.home == "DRAM" and r.at_home <= r.most for r in found.reuse)


def test_a_layer_that_runs_several_times_has_the_rates_of_one_run():
    once, often = (explained(Nest(K=12, C=5), machine(), repeats=n) for n in (1, 3))
    assert rates(often) == rates(once)
    assert often.energy_roofline.macs_per_dram_bit == pytest.approx(once.energy_roofline.macs_per_dram_bit)
    assert (often.macs, often.latency_cycles) == (3 * once.macs, 3 * once.latency_cycles)


def test_narrow_modes_set_the_peak():
    """TPUv1 makes a quarter of the MACs where both operands have 16 bits."""
    network = Network(name="fc", layers=(Layer(name="fc", kind="fc", nest=Nest(N=256, K=256, C=256)),))
    result = picojoule.estimate(network, hardware="tpu-v1", bits={"weights": 16, "inputs": 16}, search=EXACT)
    assert explain(result).layers[0].roofline.peak_macs_per_cycle == 65536 / 4


def test_uneven_zeros_are_the_loss_of_the_seventh_step():
    nest = Nest(K=32, C=32, P=8, Q=8, R=3, S=3, pad=(1, 1, 1, 1))
    layer = Layer(name="sparse", kind="conv", nest=nest, zeros=Zeros(weights=0.7, inputs=0.5))
    result = picojoule.estimate(
        Network(name="sparse", layers=(layer,)), hardware="eyeriss-v2", objective="latency", sparsity="given",
        search=Exact(factors="exact"),
    )  # fmt: skip
    found = explain(result).layers[0]
    assert result.layers[0].zeros
    assert all(after <= before for before, after in zip(rates(found), rates(found)[1:], strict=False))
    assert found.steps[6].macs_per_cycle < found.steps[5].macs_per_cycle
    assert found.steps[6].name == "varying access" and "Zeros fall unevenly" in found.steps[6].sentence
    assert found.saturation.achieved == pytest.approx(result.layers[0].utilization)


def test_results_that_stay_on_the_chip_are_explained_where_they_stay():
    result = picojoule.estimate("mobilenet_v1", hardware="dpu-v2", search=Exact(factors="exact"))
    stays = {row.name: row.stays for row in result.layers if row.stays}
    assert stays
    found = explain(result, "pw2", search=Exact(factors="exact")).layers[0]
    assert {r.tensor: r.home for r in found.reuse}["inputs"] == "block_ram"


def test_equal_layers_are_examined_once_and_named_apart():
    result = picojoule.estimate("resnet20", hardware="eyeriss-like-45nm", search=Exact(factors="exact"))
    told: list[str] = []
    found = explain(result, progress=lambda state: told.append(state.layer))
    assert told == [row.name for row in result.layers]
    assert [layer.name for layer in found.layers] + list(found.not_examined) == sorted(
        told, key=lambda name: name in found.not_examined
    )
    by_name = {layer.name: layer for layer in found.layers}
    for layer in found.layers:
        if layer.same_as is not None:
            assert rates(layer) == rates(by_name[layer.same_as])


def test_what_is_no_layer_is_refused():
    result = picojoule.estimate("merkel:L1", hardware="eyeriss-normalized", search=Exact(factors="exact"))
    first = result.layers[0].name
    with pytest.raises(UsageError, match="no layer 'fx'") as refused:
        explain(result, "fx")
    assert first in str(refused.value.hint)
    broken = replace(result, layers=(replace(result.layers[0], dims={"N": 0}), *result.layers[1:]))
    with pytest.raises(ResultFileError, match="not a layer"):
        explain(broken)
    with pytest.raises(ResultFileError, match="no machine"):
        explain(replace(result, hardware={"name": "x"}))
    other = replace(result.layers[0], mapping=[{"keep": "weights", "at": "nowhere"}])
    with pytest.raises(ResultFileError, match="no level 'nowhere'"):
        explain(replace(result, layers=(other, *result.layers[1:])))


def test_the_machine_of_a_result_is_the_machine():
    from picojoule.analysis.eyexam.subject import machine_of

    result = picojoule.estimate("merkel:L1", hardware="dpu-v2", search=Exact(factors="exact"))
    assert machine_of(result).hierarchy == load_hardware("dpu-v2").hierarchy


# Fronts ---------------------------------------------------------------------------------------------------------------


def test_what_each_picojoule_buys():
    """10 pJ for 40 cycles, then 30 pJ for 20: 4, and 2/3 cycles for each."""
    points = [
        {"latency_cycles": 40.0, "energy_pj": 140.0, "bound_pj": 140.0},
        {"latency_cycles": 60.0, "energy_pj": 110.0, "bound_pj": 109.0},
        {"latency_cycles": 100.0, "energy_pj": 100.0, "bound_pj": 100.0},
    ]
    found = exchanges(points, 30.0)
    assert [point.saturation for point in found] == [0.75, 0.5, 0.3]
    assert [point.spent_pj for point in found] == [30, 10, None]
    assert [point.saved_cycles for point in found] == [20, 40, None]
    assert [point.cycles_per_pj for point in found] == [pytest.approx(2 / 3), 4, None]
    assert exchanges(None, 30.0) is None


def without_multicast() -> Accelerator:
    base = machine()
    return replace(base, hierarchy=(base.hierarchy[0], replace(base.hierarchy[1], multicast=False), base.hierarchy[2]))


def test_fronts_of_layers_add_up_to_that_of_the_network():
    """Without multicast each PE fetches inputs for itself: more of them are faster, and dearer."""
    layers = (
        Layer(name="a", kind="conv", nest=Nest(K=8, C=5)),
        Layer(name="b", kind="conv", nest=Nest(K=6, C=7), repeats=2),
        Layer(name="c", kind="conv", nest=Nest(K=8, C=5)),
    )
    network = Network(name="three", layers=layers)
    result = picojoule.estimate(network, hardware=without_multicast(), front=True, search=Exact(time_limit_s=None, factors="exact"))
    assert picojoule.verify(result).ok
    found = explain(result)
    assert found.front is not None and len(found.front) > 2
    fronts = [layer.front for layer in found.layers]
    for layer, row in zip(found.layers, result.layers, strict=True):
        assert layer.front is not None and len(layer.front) > 1
        assert layer.front[-1].energy_pj == pytest.approx(row.energy_pj)
        assert layer.front[0].saturation == pytest.approx(layer.saturation.achieved * row.latency_cycles / layer.front[0].latency_cycles)
        assert all(point.cycles_per_pj > 0 for point in layer.front[:-1])
    assert fronts[0] == fronts[2]
    for end in (0, -1):
        assert found.front[end].latency_cycles == pytest.approx(sum(front[end].latency_cycles for front in fronts))
        assert found.front[end].energy_pj == pytest.approx(sum(front[end].energy_pj for front in fronts))
    assert explain(result, "b").front is None
    assert found.front[0].saturation == pytest.approx(result.macs / 8 / found.front[0].latency_cycles)


def test_a_layer_s_front_is_verified_for_its_order():
    network = Network(name="one", layers=(Layer(name="a", kind="conv", nest=Nest(K=8, C=5)),))
    result = picojoule.estimate(network, hardware=without_multicast(), front=True, search=EXACT)
    row = result.layers[0]
    turned = replace(row, front=row.front[::-1])
    checks = picojoule.verify(replace(result, layers=(turned,))).checks
    assert any(check.name == "front" and not check.ok and "a: " in check.message for check in checks)
    lone = picojoule.verify(replace(result, front=None)).checks
    assert any(check.name == "front" and not check.ok and "the network has none" in check.message for check in lone)
