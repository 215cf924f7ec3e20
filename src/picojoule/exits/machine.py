"""Energies of the exits of a network on a machine, from one estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picojoule.estimation.uninterrupted import estimate_uninterrupted
from picojoule.hardware import Accelerator
from picojoule.result import Estimate
from picojoule.workload.builtin.merkel import merkel_exits


def estimate_exits(hardware: str | Path | Accelerator, *, depth: int = 6, **options: Any) -> Estimate:
    """The estimate of Merkel's network with several exits on a machine.

    Args:
        hardware: as ``estimate`` takes it.
        depth: exits, 1 … 11.
        **options: more arguments of ``estimate``.

    Raises:
        PicojouleError: whatever ``estimate`` raises.
    """
    return estimate_uninterrupted(merkel_exits(depth), hardware=hardware, **options)


def energies_of_exits(result: Estimate, *, heads_passed: bool) -> list[float]:
    """Energy per inference until each exit has answered, pJ (or the unit of the machine's table).

    Args:
        result: of ``estimate_exits``.
        heads_passed: charge the classifiers that are asked on the way, not only the last.
    """
    energy = {layer.name: layer.energy_pj / result.batch for layer in result.layers}
    depth = sum(name.startswith("fc") for name in energy)
    heads = [energy[f"fc{e}"] + energy[f"softmax{e}"] for e in range(depth)]
    convs = [0.0]
    for e in range(1, depth):
        convs.append(convs[-1] + energy[f"conv{e}"])
    return [convs[e] + (sum(heads[: e + 1]) if heads_passed else heads[e]) for e in range(depth)]
