"""What a torch network costs, in all currencies side by side: MACs, bytes, memory, modelled energy and latency, measured milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from picojoule.compress.layers import weight_count
from picojoule.compress.stages import Stages
from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.frontends import load_model
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.result_file import estimate_from_data
from picojoule.search.policy import Exact

if TYPE_CHECKING:
    import torch


STEADY = Exact(time_limit_s=None, node_limit=4000)
"""How far layers are searched: as far on a busy machine as on an idle one, so that a job that is begun again finds the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of one inference. None: the machine, or nobody, tells.

    Attributes:
        macs: of the layers, zeros among them.
        executed_macs: those whose weight is not zero.
        energy: modelled, in ``unit``; None where no machine was named.
        unit: pJ, or that of a normalised machine.
        latency_s: modelled.
        bytes: of weights and biases at their bits, zeros among them.
        memory: bytes of activations at their peak.
        measured_ms: on this machine by ONNX Runtime, one thread, batch 1: the median.
        weights: of convolutions and fully connected layers, those that are not zero.
    """

    macs: int
    executed_macs: float
    energy: float | None
    unit: str
    latency_s: float | None
    bytes: float
    memory: float | None
    measured_ms: float | None = None
    weights: int | None = None

    def at(self, kind: str) -> float | None:
        """The figure that a budget of that kind is about."""
        return {
            "energy": self.energy,
            "macs": float(self.macs),
            "bytes": self.bytes,
            "latency": self.latency_s,
            "memory": self.memory,
            "weights": self.weights,
        }[kind]

    def measured(self, milliseconds: float) -> Costs:
        """The same with the time measured."""
        return replace(self, measured_ms=milliseconds)


def modelled(
    module: torch.nn.Module,
    example: Any,
    machine: Accelerator,
    *,
    bits: Any = None,
    data: Any = None,
    search: Exact = STEADY,
    known: Estimate | None = None,
) -> tuple[Estimate, Costs]:
    """The estimate of a network, with its zeros where the machine minds them, and what it costs.

    Args:
        module: in evaluation mode.
        example: an input of batch 1.
        machine: to model.
        bits: as ``estimate`` takes them.
        data: ``.npz`` of inputs to measure zeros of activations on; without it those of weights alone count.
        search: how far each layer is searched.
        known: as ``estimate`` takes it.
    """
    sparsity = None if not machine.minds_zeros else ("given" if data is None else "measured")
    result = estimate_uninterrupted(
        load_input(module),
        example,
        hardware=machine,
        bits=bits,
        sparsity=sparsity,
        data=data if sparsity == "measured" else None,
        search=search,
        known=known,
    )
    zeros = {row.name: (row.zeros or {}).get("weights", 0.0) for row in result.layers}
    return result, Costs(
        macs=result.macs,
        executed_macs=sum(row.macs * (1 - zeros[row.name]) for row in result.layers),
        energy=result.energy_pj,
        unit=result.table["unit"],
        latency_s=result.latency_s,
        bytes=result.weight_bytes,
        memory=result.peak_activation_bytes,
        weights=weight_count(module),
    )


def modelled_once(stages: Stages, name: str, make: Callable[[], tuple[Estimate, Costs]]) -> tuple[Estimate, Costs]:
    """What ``make`` answered, now or in an earlier run: a search that is cut off by time would find something else."""

    def data() -> dict[str, Any]:
        found, costs = make()
        return {"estimate": found.to_data(), "costs": asdict(costs)}

    kept = stages.figures(name, data)
    return estimate_from_data(kept["estimate"], where=name), Costs(**kept["costs"])


def load_input(module: torch.nn.Module) -> torch.nn.Module:
    """The module as ``estimate`` takes it: in evaluation mode, weights contiguous."""
    return module.eval()


def network_of(module: torch.nn.Module, example: Any) -> Any:
    """Its layers, as ``estimate`` sees them."""
    return load_model(load_input(module), example)
