"""Small results built by hand, for tests of what is printed: the figures are invented, their sums are right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from picojoule.result import SCHEMA, Access, Estimate, LayerEstimate

HARDWARE: dict[str, Any] = {
    "name": "toy-eyeriss",
    "unit": "pJ",
    "clock": None,
    "hierarchy": [
        {"level": "DRAM", "keeps": ["weights", "inputs", "outputs"]},
        {"level": "shared_glb", "keeps": ["inputs", "outputs"], "capacity": "884736 bit"},
        {"fanout": "PE", "axes": {"x": {"size": 14, "dims": ["K"]}, "y": {"size": 12, "dims": ["C"]}}},
        {"level": "ifmap_spad", "keeps": ["inputs"], "capacity": "192 bit"},
        {"level": "weights_spad", "keeps": ["weights"], "capacity": "3584 bit"},
        {"level": "psum_spad", "keeps": ["outputs"], "capacity": "384 bit"},
    ],
}

PLACES = (
    ("DRAM", "inputs"),
    ("shared_glb", "inputs"),
    ("ifmap_spad", "inputs"),
    ("weights_spad", "weights"),
    ("psum_spad", "outputs"),
    ("mac", "none"),
)

# name, MACs, energy in µJ at PLACES, cycles, what binds it
CONVOLUTIONS = (
    ("conv1", 118_013_952, (32.0, 7.6, 2.5, 14.0, 17.8, 10.1), 802_816, "DRAM (inputs)"),
    ("layer1.0.conv1", 115_605_504, (28.3, 8.2, 3.6, 11.0, 30.1, 10.0), 688_128, "psum_spad (outputs)"),
    ("layer1.0.conv2", 115_605_504, (28.3, 8.2, 3.6, 11.0, 30.1, 10.0), 688_128, "psum_spad (outputs)"),
    ("layer2.0.downsample.0.convolution", 6_422_528, (3.25, 0.9, 0.125, 0.5, 1.75, 0.5), 50_176, "DRAM (inputs)"),
    ("layer3.0.conv1", 57_802_752, (18.25, 4.5, 1.75, 5.5, 15.0, 5.0), 344_064, "DRAM (weights)"),
    ("layer3.0.conv2", 115_605_504, (34.5, 8.0, 3.5, 11.0, 30.0, 10.0), 688_128, "DRAM (weights)"),
    ("layer4.0.conv1", 57_802_752, (25.5, 2.25, 1.75, 5.5, 15.0, 5.0), 344_064, "DRAM (weights)"),
    ("layer4.0.conv2", 115_605_504, (50.5, 4.25, 3.5, 11.0, 30.0, 10.0), 700_000, "DRAM (weights)"),
    ("layer4.1.conv1", 115_605_504, (50.5, 4.25, 3.5, 11.0, 30.0, 10.0), 700_000, "DRAM (weights)"),
    ("layer4.1.conv2", 115_605_504, (50.5, 4.25, 3.5, 11.0, 30.0, 10.0), 700_000, "DRAM (weights)"),
    ("fc", 512_000, (65.625, 0.0, 0.001, 0.0625, 0.125, 0.03125), 3_072, "DRAM (weights)"),
)
MEMORY_BYTES = {name: float(20_000 * (i + 1)) for i, (name, *_) in enumerate(CONVOLUTIONS)}
MEMORY_BYTES |= {"maxpool": 1.6e6, "layer1.0.add": 4e5}
POOLS = (
    ("maxpool", "pool", "MaxPool", (4.0,), 1_003_520),
    ("layer1.0.add", "add", "Add", (2.4,), 401_408),
)


def estimate(*, unit: str = "pJ", clock_hz: float | None = None) -> Estimate:
    """Thirteen layers on a toy Eyeriss, all proved optimal."""
    layers = tuple(_convolution(*row) for row in CONVOLUTIONS) + tuple(_pool(*row) for row in POOLS)
    energy_pj = math.fsum(layer.energy_pj for layer in layers)
    floor_pj = math.fsum(layer.floor_pj for layer in layers)
    cycles = math.fsum(layer.latency_cycles or 0.0 for layer in layers)
    macs = sum(layer.macs for layer in layers)
    return Estimate(
        schema=SCHEMA,
        model="toynet",
        input_shape=(1, 3, 224, 224),
        hardware={**HARDWARE, "unit": unit},
        batch=1,
        bits={"weights": 16, "inputs": 16, "outputs": 16, "psums": 16},
        objective="energy",
        counting="exact",
        space="exact divisors, the same tile boundaries for every tensor, every loop order",
        value=energy_pj,
        bound=energy_pj,
        floor=floor_pj,
        gap=0.0,
        status="PROVED",
        energy_pj=energy_pj,
        energy_pj_per_inference=energy_pj,
        bound_pj=energy_pj,
        floor_pj=floor_pj,
        latency_cycles=cycles,
        latency_s=None if clock_hz is None else cycles / clock_hz,
        throughput_inf_s=None if clock_hz is None else clock_hz / cycles,
        edp_pj_s=None if clock_hz is None else energy_pj * cycles / clock_hz,
        gops_per_w=None if unit != "pJ" else 2 * macs / energy_pj * 1000,
        macs=macs,
        params=11_679_912,
        dram_bytes=2.5e7,
        weight_bytes=2.3e7,
        peak_activation_bytes=1.6e6,
        fps=None,
        power_w=None,
        area_mm2=None,
        accuracy=None,
        front=None,
        coverage={
            "macs": 1.0,
            "bytes": 0.9812,
            "not_costed": [{"op": "Softmax", "count": 1, "where": ["prob"]}],
            "vector_ops_not_priced": [
                {"op": "MaxPool", "count": 1, "where": ["maxpool"]},
                {"op": "Add", "count": 8, "where": ["layer1.0.add"]},
            ],
        },
        layers=layers,
        groups=[],
        table={"name": "toy-65nm", "source": "invented for tests", "unit": unit, "node_nm": 65},
        provenance={
            "version": "0.0.0",
            "command": "picojoule estimate toynet --hardware toy-eyeriss",
            "seed": None,
            "samples": None,
            "content_hash": "",
            "wall_s": 3.25,
            "cpu_s": 3.0,
            "search": {"visited": 12_345, "pruned": 67_890},
        },
        data_flow={"chain": True, "given": [], "outputs": []},
        sparsity=None,
        zeros_effect=None,
    )


def with_layer(base: Estimate, name: str, **changes: object) -> Estimate:
    """The estimate with one layer changed; totals are left as they are."""
    assert name in base.by_layer()
    return replace(base, layers=tuple(replace(x, **changes) if x.name == name else x for x in base.layers))


def interrupted() -> Estimate:
    """The estimate as Ctrl-C leaves it: one layer open, one interrupted."""
    changed = with_layer(estimate(), "layer4.1.conv2", status="INTERRUPTED", gap=0.125)
    changed = with_layer(changed, "conv1", status="GAP_OPEN", gap=0.0004)
    return replace(
        changed, status="INTERRUPTED", gap=0.019, bound=changed.value * 0.981, bound_pj=changed.value * 0.981
    )


def _convolution(name: str, macs: int, energies_uj: tuple[float, ...], cycles: int, bound_by: str) -> LayerEstimate:
    by = tuple(
        Access(
            level=level,
            tensor=tensor,
            energy_pj=uj * 1e6,
            reads=macs,
            writes=0,
            updates=0,
            bits=0 if level == "mac" else macs * 16,
        )
        for (level, tensor), uj in zip(PLACES, energies_uj, strict=True)
    )
    energy_pj = math.fsum(access.energy_pj for access in by)
    shape = {
        "kind": "fc" if name == "fc" else "conv",
        "op": "Gemm" if name == "fc" else "Conv",
        "dims": {"N": 1, "G": 1, "K": macs // 512, "C": 512, "P": 1, "Q": 1, "R": 1, "S": 1},
        "stride": (1, 1),
        "dilation": (1, 1),
        "pad": (0, 0, 0, 0),
        "params": macs,
        "moved": None,
        "utilization": 0.9375,
        "reuse": {"weights": 1.0, "inputs": 2.0, "outputs": 3.0},
        "mapping": [{"keep": "inputs", "at": "DRAM"}],
        "search": {"visited": 1000, "pruned": 5000},
    }
    return _layer(name, macs, by, energy_pj, cycles, bound_by, shape)


def _pool(name: str, kind: str, op: str, energies_uj: tuple[float, ...], elements: int) -> LayerEstimate:
    half = energies_uj[0] * 1e6 / 2
    by = (
        Access(level="DRAM", tensor="inputs", energy_pj=half, reads=elements, writes=0, updates=0, bits=elements * 16),
        Access(level="DRAM", tensor="outputs", energy_pj=half, reads=0, writes=0, updates=elements, bits=elements * 16),
    )
    empty = ("dims", "stride", "dilation", "pad", "utilization", "reuse", "mapping", "search")
    moved = {"read": elements, "written": elements, "vector_ops": elements}
    shape = {"kind": kind, "op": op, "params": 0, "moved": moved, **dict.fromkeys(empty)}
    return _layer(name, 0, by, 2 * half, 0.0, "DRAM (inputs)", shape)


def _layer(
    name: str, macs: int, by: tuple[Access, ...], energy_pj: float, cycles: float, bound_by: str, shape: dict[str, Any]
) -> LayerEstimate:
    floor_pj = energy_pj if macs == 0 else energy_pj * 0.8
    return LayerEstimate(
        name=name,
        bits={"weights": 16, "inputs": 16, "outputs": 16, "psums": 16},
        zeros=None,
        macs=macs,
        same_as="layer1.0.conv1" if name == "layer1.0.conv2" else None,
        group=None,
        value=energy_pj,
        bound=energy_pj,
        floor=floor_pj,
        energy_pj=energy_pj,
        bound_pj=energy_pj,
        floor_pj=floor_pj,
        compulsory_pj=energy_pj / 2,
        gap=0.0,
        status="PROVED",
        latency_cycles=float(cycles),
        bound_by=bound_by,
        by=by,
        runs=1,
        reads=None,
        memory_bytes=MEMORY_BYTES[name],
        **shape,
    )
