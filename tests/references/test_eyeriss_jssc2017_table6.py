"""Eyeriss, JSSC 2017, Table VI: VGG-16's convolutions at batch 3 on the chip.

How the chip was set up for them is published nowhere, so ours are mappings that the search finds on ``eyeriss-v1``: those of least
energy for the traffic of DRAM, those of least energy × latency for PEs and time. Zeros are the table's. Its cells are recalled;
corroborated are the sums of time and DRAM and the average power, by the paper's text.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from support.published import Figure, Table

from picojoule import Exact, load_model
from picojoule.cost.energy import moved_bits
from picojoule.cost.zeros import priced
from picojoule.hardware import load_hardware
from picojoule.hardware.accelerator import Accelerator
from picojoule.search.costed import Found
from picojoule.search.layer import search_layer
from picojoule.workload.nest import Nest
from picojoule.workload.zeros import Zeros

BATCH = 3
PUBLISHED = {
    # PEs, zeros of the (padded) inputs in %, DRAM MB
    "conv1_1": (156, 1.6, 15.4),
    "conv1_2": (156, 47.7, 54.0),
    "conv2_1": (156, 24.8, 33.4),
    "conv2_2": (156, 38.7, 48.5),
    "conv3_1": (156, 39.7, 20.2),
    "conv3_2": (156, 58.1, 32.2),
    "conv3_3": (156, 58.7, 30.8),
    "conv4_1": (168, 64.3, 17.8),
    "conv4_2": (168, 74.7, 28.6),
    "conv4_3": (168, 85.4, 22.8),
    "conv5_1": (168, 79.4, 6.3),
    "conv5_2": (168, 87.4, 5.7),
    "conv5_3": (168, 88.5, 5.6),
}
PUBLISHED_PASSES = {
    # buffer MB, time in ms
    "conv1_1": (112.6, 76.2),
    "conv1_2": (2402.8, 910.3),
    "conv2_1": (1201.4, 470.3),
    "conv2_2": (2402.8, 894.3),
    "conv3_1": (607.4, 241.1),
    "conv3_2": (1214.8, 460.9),
    "conv3_3": (1214.8, 457.7),
    "conv4_1": (321.8, 135.8),
    "conv4_2": (643.7, 254.8),
    "conv4_3": (643.7, 246.3),
    "conv5_1": (90.0, 54.3),
    "conv5_2": (90.0, 53.7),
    "conv5_3": (90.0, 53.7),
}
MISSED_PASSES = {
    "conv1_1": (-0.649, -0.626),
    "conv1_2": (-0.851, -0.819),
    "conv2_1": (-0.888, -0.824),
    "conv2_2": (-0.733, -0.815),
    "conv3_1": (-0.461, -0.600),
    "conv3_2": (-0.682, -0.642),
    "conv3_3": (-0.682, -0.639),
    "conv4_1": (-0.615, -0.392),
    "conv4_2": (-0.615, -0.352),
    "conv4_3": (-0.448, -0.329),
    "conv5_1": (-0.327, -0.240),
    "conv5_2": (-0.327, -0.231),
    "conv5_3": (-0.327, -0.231),
}
MISSED_DRAM = {"conv2_1": -0.238, "conv3_3": 0.18}
OTHER_MAPPING = "another mapping than the chip's, which isn't published"
POOLED = OTHER_MAPPING + "; zeros of outputs that are pooled aren't known, and count as none"
TALLER = (
    "156 = 3 · 13 · 4: of the large maps the chip takes 13 rows, the search 14; why is not stated (14 rows of partial sums, 16 maps "
    "224 wide, fill 98 of the buffer's 100 KiB)"
)
FEWER_PASSES = (
    "the chip's partial sums go to the buffer and back for every one or two input channels, at the speed of their network "
    "(2.4 GB in conv1_2); the search adds up 16 channels in the array first"
)


@cache
def layers() -> dict[str, tuple[Nest, Accelerator]]:
    """Every convolution with the chip as its zeros leave it."""
    chip = load_hardware("eyeriss-v1")
    nests = {x.name: x.nest for x in load_model("vgg16").with_batch(BATCH).layers if x.nest and x.kind == "conv"}
    inputs = {name: _unpadded(nest, PUBLISHED[name][1] / 100) for name, nest in nests.items()}
    result = {}
    for name, after in zip(nests, [*list(nests)[1:], None], strict=True):
        nest = nests[name]
        pooled = after is None or nests[after].input_rows != nest.P
        zeros = Zeros(inputs=inputs[name], outputs=0.0 if pooled else inputs[after])
        result[name] = nest, priced(chip, nest, chip.bits, zeros)
    return result


def _unpadded(nest: Nest, padded_zeros: float) -> float:
    """The share of zeros without those of the padding; none where the padding alone is more than the share."""
    nonzero = (1 - padded_zeros) * ((nest.input_rows + nest.pad[0] + nest.pad[2]) / nest.input_rows) ** 2
    return max(0.0, 1 - nonzero)


@cache
def optimum(name: str, objective: str) -> Found:
    nest, machine = layers()[name]
    return search_layer(nest, machine, machine.bits, objective, Exact(time_limit_s=None, factors="exact"))


def dram_mb(name: str) -> float:
    _, machine = layers()[name]
    counts = [c for c in optimum(name, "energy").best.traffic.counts if c.level == "DRAM"]
    return sum(moved_bits(machine.level("DRAM"), c, machine.bits)[0] for c in counts) / 8e6


def glb_mb(name: str) -> float:
    """What the buffer moves to and from the array, without what fills it from DRAM, as the chip's table counts (Table V)."""
    _, machine = layers()[name]
    counts = [c for c in optimum(name, "energy").best.traffic.counts if c.level == "GLB"]
    fills = next(c for c in counts if c.tensor == "inputs").writes * machine.bits.inputs
    return (sum(moved_bits(machine.level("GLB"), c, machine.bits)[0] for c in counts) - fills) / 8e6


def time_ms(name: str) -> float:
    clock_hz = load_hardware("eyeriss-v1").clock_hz
    assert clock_hz is not None
    return optimum(name, "edp").best.cycles / clock_hz * 1e3


def table() -> Table:
    rows = []
    for name, (pes, _, _) in PUBLISHED.items():
        ours = layers()[name][0].macs / optimum(name, "edp").best.traffic.temporal_steps
        taller = {"missed": 168 / 156 - 1, "reason": TALLER} if pes == 156 else {}
        if name == "conv1_1":
            taller = {"missed": 126 / 156 - 1, "reason": "bound by what it writes to DRAM, so that fewer PEs are as fast"}
        rows.append(Figure(what=f"{name}: PEs in use", published=pes, ours=ours, within=0, **taller))
    for name, (_, _, mb) in PUBLISHED.items():
        miss = MISSED_DRAM.get(name)
        reason = "" if miss is None else POOLED if name == "conv3_3" else OTHER_MAPPING
        rows.append(
            Figure(what=f"{name}: DRAM", published=mb, ours=dram_mb(name), unit="MB", within=0.15, missed=miss, reason=reason)
        )
    total = sum(dram_mb(name) for name in PUBLISHED)
    rows.append(Figure(what="all: DRAM", published=321.1, ours=total, unit="MB", within=0.10))
    for i, (what, unit, ours) in enumerate((("buffer", "MB", glb_mb), ("time", "ms", time_ms))):
        rows += [
            Figure(
                what=f"{name}: {what}", published=PUBLISHED_PASSES[name][i], ours=ours(name), unit=unit, within=0.15,
                missed=MISSED_PASSES[name][i], reason=FEWER_PASSES,
            )
            for name in PUBLISHED
        ]  # fmt: skip
    frames = BATCH * 1e3 / sum(time_ms(name) for name in PUBLISHED)
    rows.append(
        Figure(what="images a second", published=0.7, ours=frames, within=0.25, missed=2.05, reason=FEWER_PASSES)
    )
    return Table(
        title="Eyeriss, JSSC 2017, Table VI: VGG-16",
        source="cells by memory; 321.1 MB, 0.7 images a second found in the paper's text, with which the recalled cells agree in sum.",
        how="the search's mappings on `eyeriss-v1`, exact factors: of least energy for DRAM, of least energy × latency for PEs and "
        "time. Zeros of inputs from the table.",
        figures=tuple(rows),
        remarks=(
            "The power of a layer (218 to 278 mW) is not compared: over our shorter time, and without the chip's passes through the "
            "buffer, it would be that of other mappings.",
            "That the sum is met so closely is luck: layers deviate by −24 to +18 %, and the mappings are not the chip's.",
        ),
    )


def test_the_table() -> None:
    assert table().complaints == []
    assert {optimum(name, "energy").status for name in PUBLISHED} == {"PROVED"}


def test_the_figures_are_those_on_file(shared: Path) -> None:
    facts = json.loads((shared / "facts" / "facts.json").read_text(encoding="utf-8"))["eyeriss_jssc2017_table6_vgg16_N3"]
    for row in facts["rows"]:
        entry = dict(zip(facts["columns"], row, strict=True))
        name = entry["layer"].lower().replace("-", "_")
        assert PUBLISHED[name] == (entry["active_PEs"], entry["ifmap_zeros_pct"], entry["DRAM_MB"])
        assert PUBLISHED_PASSES[name] == (entry["GLB_MB"], entry["total_ms"])
