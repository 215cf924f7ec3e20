"""Simba, one chiplet and a package of 36 (abstracts of Zimmer et al., VLSI 2019, and Shao et al., MICRO 2019) against our ``simba``
and ``simba-package``.

Found in the abstracts: 4.01 TOPS a chiplet, 127.8 TOPS and 6.1 TOPS/W a package, 0.11 pJ an operation at best, ResNet-50 in 0.50 ms
at batch 1. Ours:

                                           paper    ours
    peak of a chiplet, TOPS                 4.01    4.01    the clock is derived from it
    peak of a package, TOPS                127.8   127.8    the same
    least energy of an operation, pJ        0.11    0.18    chip without DRAM, in the layer of ResNet-50 that needs least
    ResNet-50, batch 1, ms                  0.50    0.18

Energies are rules made for 45 nm and scaled: that they come within a factor of two says no more than that. ResNet-50 is 2.8 times as fast here
as was measured: DRAM, conflicts in the mesh and starting layers take no time.
"""

from __future__ import annotations

from functools import cache

import pytest
from support.published import Figure, Table

import picojoule
from picojoule.hardware import load_hardware

EXACT = picojoule.Exact(time_limit_s=None, factors="exact")


@cache
def run(hardware: str, objective: str = "latency") -> picojoule.Estimate:
    return picojoule.estimate("resnet50", hardware=hardware, objective=objective, search=EXACT)


def peak_tops(hardware: str) -> float:
    machine = load_hardware(hardware)
    return 2 * machine.pes * (machine.clock_hz or 0.0) / 1e12


def least_pj_per_operation() -> float:
    """Of the chip, in the layer that needs least."""
    rows = [row for row in run("simba", "energy").layers if row.macs]
    return min(sum(access.energy_pj for access in row.by if access.level != "DRAM") / (2 * row.macs) for row in rows)


def table() -> Table:
    figures = (
        Figure(what="peak of a chiplet", published=4.01, ours=peak_tops("simba"), unit="TOPS", within=0.001),
        Figure(what="peak of a package", published=127.8, ours=peak_tops("simba-package"), unit="TOPS", within=0.001),
        Figure(
            what="least energy of an operation, chip without DRAM",
            published=0.11,
            ours=least_pj_per_operation(),
            unit="pJ",
            within=0.1,
            missed=0.605,
            reason="rules for 45 nm scaled to 16, which fit no process in particular",
        ),
        Figure(
            what="ResNet-50, batch 1, package",
            published=0.50,
            ours=1e3 * (run("simba-package").latency_s or 0.0),
            unit="ms",
            within=0.1,
            missed=-0.646,
            reason="DRAM, conflicts in the mesh and starting a layer take no time here",
        ),
    )
    return Table(
        title="Simba, VLSI 2019 and MICRO 2019",
        source="found: abstracts. Buffers of a PE, the mesh and its links are by memory (`hardware show simba-package`).",
        how="`simba` and `simba-package`, exact factors; least energy for the operation, least latency for ResNet-50. Energies are estimated, and clocks "
        "derived from the peaks.",
        figures=figures,
    )


def test_the_figures_but_for_deviations_on_record():
    assert table().complaints == []


def test_a_package_is_36_chiplets():
    chiplet, package = load_hardware("simba"), load_hardware("simba-package")
    assert package.pes == 36 * chiplet.pes == 36 * 1024
    inside = [level for level in package.levels if level.name not in ("DRAM", "router")]
    assert [level.name for level in inside] == [level.name for level in chiplet.levels if level.name != "DRAM"]
    for level in inside:
        own = chiplet.level(level.name)
        assert (level.capacity_bits, level.keeps, level.energy_per_word) == (own.capacity_bits, own.keeps, own.energy_per_word)
    link = package.level("global_buffer").link
    assert link is not None and link == package.level("router").link
    assert link.bits_per_cycle == pytest.approx(8 * 100e9 / 1.733e9)


def test_a_package_is_faster_and_dearer_than_a_chiplet():
    one, all_of_them = run("simba"), run("simba-package")
    assert all_of_them.latency_s < one.latency_s / 10
    assert run("simba-package:columns=2,rows=2").latency_s > all_of_them.latency_s
    assert all_of_them.by_level()["package_link"] > 0
    assert all_of_them.energy_pj > run("simba", "energy").energy_pj


def test_every_bit_pays_the_link_for_every_chiplet_that_it_gets_to_or_leaves():
    small = picojoule.estimate(
        "merkel:L1", hardware="simba-package:columns=2,rows=2", objective="latency", search=EXACT
    )
    row = small.layers[0]
    by = {(access.level, access.tensor): access for access in row.by}
    for tensor, behind in (("weights", "router"), ("inputs", "global_buffer")):
        crossing = by["package_link", tensor]
        assert crossing.writes == by[behind, tensor].writes
        assert crossing.energy_pj == pytest.approx(1.285 * 8 * crossing.writes)
    leaving = by["package_link", "outputs"]
    assert leaving.energy_pj == pytest.approx(1.285 * 24 * (leaving.reads + leaving.writes))


def test_slow_links_bind():
    slow = picojoule.estimate(
        "merkel:L2", hardware="simba-package:link_bandwidth=1 GB/s", objective="latency", search=EXACT
    )
    fast = picojoule.estimate("merkel:L2", hardware="simba-package", objective="latency", search=EXACT)
    assert slow.latency_cycles > 2 * fast.latency_cycles
    assert picojoule.verify(slow).ok


def test_a_result_is_marked_and_verifies():
    for hardware in ("simba", "simba-package"):
        assert run(hardware).table["estimated"]
        assert picojoule.verify(run(hardware)).ok
