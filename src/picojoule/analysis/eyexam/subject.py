"""A layer of a result as the machine met it: all that is needed to ask what else the machine could do with it."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.cost.suited import staying, suited
from picojoule.cost.zeros import priced
from picojoule.errors import HardwareError, MappingError, ResultFileError
from picojoule.hardware import accelerator_from_data
from picojoule.hardware.accelerator import Accelerator
from picojoule.mapping.legality import check_legal
from picojoule.mapping.mapping import Mapping
from picojoule.result import Estimate, LayerEstimate
from picojoule.workload.nest import Bits, Nest
from picojoule.workload.zeros import Zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One run of a layer.

    Attributes:
        row: of the result.
        nest, bits: the loops and the widths.
        machine: its engine for the layer, its tensors where they live, and what zeros spare.
        mapping: that the result has.
        cycles: of the result, for one run.
        objective: that the mapping was found for.
    """

    row: LayerEstimate
    nest: Nest
    bits: Bits
    machine: Accelerator
    mapping: Mapping
    cycles: float
    objective: str = "energy"


def machine_of(estimate: Estimate) -> Accelerator:
    """The machine that a result carries with it.

    Raises:
        ResultFileError: its data describes none.
    """
    try:
        return accelerator_from_data(estimate.hardware, "hardware")
    except HardwareError as error:
        raise ResultFileError(f"no machine: {error.message}", where=error.where or "hardware") from None


def subject(estimate: Estimate, index: int, machine: Accelerator) -> Subject | None:
    """The layer ``estimate.layers[index]``; None if it has no loops to examine.

    Args:
        estimate: the result.
        index: of the layer.
        machine: ``machine_of`` the result.

    Raises:
        ResultFileError: the layer can't have been run so.
    """
    row = estimate.layers[index]
    if row.dims is None or row.mapping is None or not row.latency_cycles:
        return None
    try:
        window = {name: tuple(getattr(row, name)) for name in ("stride", "dilation", "pad") if getattr(row, name)}
        nest, bits = Nest(**row.dims, **window), Bits(**row.bits)
        met = suited(_with_what_stays(estimate, index, nest, machine), nest, bits)
        if estimate.counting != "timeloop":
            met = priced(met, nest, bits, Zeros.of(row.zeros))
        mapping = Mapping.from_data(row.mapping)
        check_legal(nest, met, mapping, bits)
    except (HardwareError, MappingError) as error:
        raise ResultFileError(error.message, where=row.name, hint=_AGAIN) from None
    except (TypeError, ValueError, KeyError) as error:
        raise ResultFileError(f"not a layer: {error}", where=row.name, hint=_AGAIN) from None
    return Subject(
        row=row,
        nest=nest,
        bits=bits,
        machine=met,
        mapping=mapping,
        cycles=row.latency_cycles / max(1, row.runs),
        objective=estimate.objective,
    )


_AGAIN = "Run the estimate again; picojoule verify says what else is wrong with a result."


def _with_what_stays(estimate: Estimate, index: int, nest: Nest, machine: Accelerator) -> Accelerator:
    row = estimate.layers[index]
    at = next((f.depthwise.outputs_stay_at for f in machine.fanouts if f.depthwise is not None), None)
    if not row.stays or at is None:
        return machine
    sizes = {}
    if "outputs" in row.stays:
        sizes["outputs"] = nest.elements("outputs") * row.bits["outputs"]
    if "inputs" in row.stays:
        named = row.reads[0] if row.reads else None
        before = next((x for x in estimate.layers if x.name == named), None) or estimate.layers[max(0, index - 1)]
        if before.dims is None:
            raise ValueError(f"its inputs stay on the chip, and {before.name!r} before it leaves none there")
        left = Nest(**before.dims)
        sizes["inputs"] = left.elements("outputs") * before.bits["outputs"]
    return staying(machine, at, sizes)
