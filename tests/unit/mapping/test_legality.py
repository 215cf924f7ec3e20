"""Whether a mapping fits: the rules of capacity, with the numbers that break them."""

from __future__ import annotations

import pytest

from picojoule.errors import MappingError
from picojoule.hardware.accelerator import Accelerator, Level, MacEnergy, uniform_energies
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Keep, Loop, Mapping
from picojoule.workload.nest import TENSORS, Bits, Nest

ENERGIES = uniform_energies(read=1, write=1, update=1)
HOMES = tuple(Keep("far", tensor) for tensor in TENSORS)
FOUR_INPUTS = Mapping((*HOMES, Keep("near", "inputs"), Loop("C", 1)))


def machine(capacity_bits: int, buffering: int) -> Accelerator:
    """A memory of inputs before a home for everything."""
    return Accelerator(
        name="two",
        hierarchy=(
            Level(name="far", keeps=TENSORS, word_bits=8, energy_per_word=ENERGIES),
            Level(
                name="near",
                keeps=("inputs",),
                word_bits=8,
                capacity_bits=capacity_bits,
                buffering=buffering,
                energy_per_word=ENERGIES,
            ),
        ),
        unit="pJ",
        bits=Bits(weights=8, inputs=8, outputs=8, psums=8),
        mac=MacEnergy(bits=8, multiply=1),
    )


@pytest.mark.parametrize(("capacity", "buffering"), [(32, 1), (64, 2)])
def test_a_tile_that_just_fits_is_legal(capacity: int, buffering: int) -> None:
    check_legal(Nest(C=4), machine(capacity, buffering), FOUR_INPUTS)


@pytest.mark.parametrize(("capacity", "buffering", "holds"), [(31, 1, 31), (63, 2, 31), (32, 2, 16)])
def test_a_tile_that_is_too_large_is_refused(capacity: int, buffering: int, holds: int) -> None:
    with pytest.raises(MappingError, match=f"near holds {holds} bits, the tiles need inputs 32 bits"):
        check_legal(Nest(C=4), machine(capacity, buffering), FOUR_INPUTS)
