"""One design under published tables: how far the energy of a MAC moves while nothing but the prices does.

The design is Timeloop's eyeriss_like (168 PEs, 128 KiB), the layers are AlexNet's five convolutions at batch 1 and 16
bits, each at its optimum under each table. The figures are ours, measured once and held to 0.1 %; they are published
nowhere.

That tables must be a part of every result was learnt from one design at 1.0, 5.7 and 22 pJ/MAC under three of them. Which
design, network and tables those were is not on record: 5.4 is near the second figure, the other two are not met, and
the spread here is 2.8-fold. It is enough to change what binds the design: arithmetic, DRAM or partial sums.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from picojoule import Exact, compare, estimate, load_model, verify
from picojoule.result_file import write_result

# table: pJ per MAC (MACs per MAC for the relative one), the place of most energy and its share.
MEASURED = {
    "accelergy-45nm": (5.4378, "mac", 0.405),
    "horowitz-45nm": (3.6566, "DRAM", 0.470),
    "eyeriss-chip-65nm": (8.6300, "DRAM", 0.282),
    "eyeriss-normalized-65nm-pj": (10.3748, "psum_spad", 0.331),
    "eyeriss-normalized-65nm": (6.1241, "psum_spad", 0.331),
}
IN_PICOJOULES = [table for table in MEASURED if table != "eyeriss-normalized-65nm"]


@pytest.fixture(scope="module")
def estimates():
    network = load_model("alexnet")
    convolutions = tuple(layer for layer in network.layers if layer.kind == "conv")
    assert len(convolutions) == 5
    network = replace(network, name="alexnet-conv", layers=convolutions, flow=None, not_costed=())
    return {
        table: estimate(
            network, hardware="eyeriss-like-45nm", table=table, search=Exact(factors="exact"), cache=False
        )
        for table in MEASURED
    }


@pytest.mark.parametrize("table", MEASURED)
def test_energy_of_a_mac(estimates, table):
    result, (energy, place, share) = estimates[table], MEASURED[table]
    assert result.gap < 1e-6
    assert result.energy_pj / result.macs == pytest.approx(energy, rel=1e-3)
    parts = result.by_level()
    assert max(parts, key=parts.get) == place
    assert parts[place] / result.energy_pj == pytest.approx(share, abs=1e-3)


def test_the_spread_of_one_design(estimates):
    energies = [estimates[table].energy_pj for table in IN_PICOJOULES]
    assert max(energies) / min(energies) == pytest.approx(2.837, rel=1e-3)
    assert {estimates[table].macs for table in MEASURED} == {estimates["accelergy-45nm"].macs}


def test_the_design_s_own_table_is_among_them(estimates):
    """Its published table is where the rules of accelergy-45nm come from."""
    network = replace(
        load_model("alexnet"), layers=tuple(x for x in load_model("alexnet").layers if x.kind == "conv"), flow=None
    )
    own = estimate(network, hardware="eyeriss-like-45nm", search=Exact(factors="exact"), cache=False)
    assert own.energy_pj == pytest.approx(estimates["accelergy-45nm"].energy_pj, rel=1e-9)


def test_units_apart_the_normalised_tables_are_one(estimates):
    relative, absolute = estimates["eyeriss-normalized-65nm"], estimates["eyeriss-normalized-65nm-pj"]
    assert absolute.energy_pj / relative.energy_pj == pytest.approx((0.05 + 0.9) * (65 / 45) / 0.81, rel=1e-9)


def test_the_table_is_in_the_result_and_the_result_holds(estimates, tmp_path):
    for table, result in estimates.items():
        assert result.table["name"] == result.hardware["table"]["name"] == table
        write_result(result, tmp_path / f"{table}.json")
        assert verify(tmp_path / f"{table}.json").ok
    comparison = compare(sorted(tmp_path.glob("*.json")))
    assert {result.table for result in comparison.results} == set(MEASURED)
