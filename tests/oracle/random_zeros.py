"""Random rules about zeros on random machines, wherever a description may have them."""

from __future__ import annotations

import random
from dataclasses import replace

from oracle.random_machines import Problem

from picojoule.hardware.accelerator import Accelerator, Compression, FanOut, Level, ZeroRule
from picojoule.workload.nest import RELEVANT, TENSORS
from picojoule.workload.zeros import Zeros

OPERANDS = ("weights", "inputs")
FORMATS = (
    Compression(format="bitmap"),
    Compression(format="rlc", index_bits=3, word_bits=64),
    Compression(format="csc", index_bits=2, address_bits=4, column=8),
)


def feeds_macs(machine: Accelerator, level: Level, tensor: str) -> bool:
    """Whether every access of the level serves one MAC."""
    inner = machine.hierarchy[machine.hierarchy.index(level) + 1 :]
    for entry in inner:
        if isinstance(entry, FanOut):
            if any(d not in RELEVANT[tensor] for axis in entry.axes if axis.size > 1 for d in axis.dims):
                return False
        elif tensor in entry.keeps + entry.may_keep:
            return False
    return machine.home(tensor) is not level or tensor != "outputs"


def minding(problem: Problem, *, compresses: bool = True, skips: bool = True) -> Accelerator:
    """The machine with rules about zeros wherever they may stand."""
    rng = random.Random(f"zeros {problem.seed}")
    machine = problem.machine
    gating = tuple(t for t in OPERANDS if rng.random() < 0.6)
    skipping = tuple(t for t in OPERANDS if skips and t not in gating)
    hierarchy: list[Level | FanOut] = []
    for entry in machine.hierarchy:
        if isinstance(entry, Level):
            rules = [_rule(rng, machine, entry, t, gating, skipping, compresses) for t in entry.keeps + entry.may_keep]
            entry = replace(entry, zeros=tuple(rule for rule in rules if rule is not None))
            if entry.capacity_bits is not None and any(rule.compression for rule in entry.zeros):
                # With its metadata an element takes up to three times the room; single elements are to fit.
                entry = replace(entry, capacity_bits=3 * entry.capacity_bits)
        hierarchy.append(entry)
    ahead = tuple((t, rng.choice((2, 8, 64))) for t in skipping if rng.random() < 0.5)
    return replace(machine, hierarchy=tuple(hierarchy), gating=gating, skipping=skipping, run_ahead=ahead)


def _rule(
    rng: random.Random,
    machine: Accelerator,
    level: Level,
    tensor: str,
    gating: tuple[str, ...],
    skipping: tuple[str, ...],
    compresses: bool,
) -> ZeroRule | None:
    compression = None
    if compresses and rng.random() < 0.5 and (tensor != "outputs" or machine.home(tensor) is level):
        compression = replace(rng.choice(FORMATS), raw=rng.random() < 0.5, margin=rng.choice((None, 1.0, 1.5)))
    mine = feeds_macs(machine, level, tensor)
    spare = tuple(t for t in gating if (mine or t == tensor) and not (compression and t == tensor))
    skip = tuple(t for t in skipping if (mine or t == tensor) and not (compression and t == tensor))
    if not (spare or skip or compression):
        return None
    return ZeroRule(tensor=tensor, gating=spare, skipping=skip, compression=compression)


def zeros_of(seed: object) -> Zeros:
    """Shares of zeros, now and then none or nothing else."""
    rng = random.Random(f"shares {seed}")
    return Zeros(**{tensor: rng.choice((0.0, 1.0, rng.random(), rng.random())) for tensor in TENSORS})
