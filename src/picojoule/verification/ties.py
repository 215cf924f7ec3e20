"""That no mapping of least energy is faster than a result says, derived anew from the certificate.

The certificate says which parts may be as cheap as the optimum. Each of them has a simple bound on its cycles, from compute and
ports. Groups are not spread in these parts; spread beside them they cost no less energy and less time, so that those ways are asked
as well: what would be faster has to cost more.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.certificate import Choice, spread_factors
from picojoule.hardware.accelerator import Accelerator
from picojoule.verification.least import Least
from picojoule.verification.outcome import RELATIVE
from picojoule.verification.parts import Parts
from picojoule.verification.plan import Refuted
from picojoule.verification.space import Paths, Way, ways
from picojoule.workload.nest import DIMS, Bits, Nest

AS_CHEAP = 2 * RELATIVE
"""Parts whose bound is no further above the least energy may tie with it."""
G = DIMS.index("G")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a result says of one run of a layer: the least ``energy``, and the ``cycles`` that nothing of it is below."""

    energy: float
    cycles: float
    nest: Nest
    machine: Accelerator
    bits: Bits
    exact: bool
    bottom: Least


def check_fastest(claim: Claim, choices: Sequence[tuple[Choice, Paths]], size: int | None, seed: int) -> str:
    """Raises ``Refuted`` if a part that may be as cheap can be faster.

    Args:
        claim: of the result.
        choices: of the certificate, with their levels.
        size: how many ways to solve again; None for all.
        seed: which these are.
    """
    nest, machine = claim.nest, claim.machine
    fanouts = [fanout.name for fanout in machine.fanouts]
    spread = any("G" in axis.dims for fanout in machine.fanouts for axis in fanout.axes) and nest.G > 1
    wide = ways(nest, machine, spread_groups=True, exact=claim.exact) if spread else []
    asked = 0
    open_: list[tuple[Way, Parts, Parts]] = []
    for choice, paths in choices:
        made = [(spread_factors(text, fanouts), bound) for text, bound in choice.parts]
        dear = {way for way, bound in made if bound > claim.energy * (1 + AS_CHEAP)}
        ties = [way for way in wide if _groups_aside(way) not in dear] or [w for w, _ in made if w is not None and w not in dear]
        if not ties:
            continue
        energy, latency = (
            Parts(nest, machine, claim.bits, paths, objective, exact=claim.exact, bottom=claim.bottom)
            for objective in ("energy", "latency")
        )
        asked += len(ties)
        for way, cycles in zip(ties, latency.simple(ties), strict=True):
            if cycles < claim.cycles * (1 - RELATIVE):
                open_.append((way, energy, latency))
    total = len(open_)
    if size is not None and size < total:
        open_ = random.Random(seed).sample(open_, size)
    for way, energy, latency in open_:
        if energy.least(way, claim.energy * (1 + AS_CHEAP)) >= claim.energy * (1 + RELATIVE):
            continue
        cycles = latency.least(way, claim.cycles)
        if cycles < claim.cycles * (1 - RELATIVE):
            raise Refuted(f"{way} is as cheap and may take {cycles:,.0f} cycles, latency_bound_cycles says {claim.cycles:,.0f}")
    return f"{asked:,} ways may be as cheap: {asked - total:,} by a simple bound, {len(open_):,} of the other {total:,} solved again"


def _groups_aside(way: Way) -> Way:
    return tuple(tuple(1 if d == G else n for d, n in enumerate(row)) for row in way)
