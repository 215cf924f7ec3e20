"""The certificate of a result: for every layer that was searched, all parts of its map space with their bounds."""

from __future__ import annotations

from collections.abc import Mapping

from picojoule.certificate import Certificate, Choice, Cover, nest_data, sealed, spread_text
from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate
from picojoule.search.costed import Found, objective_value
from picojoule.search.many import Key
from picojoule.search.policy import Exact


def certificate_of(
    result: Estimate, solved: Mapping[str, tuple[Key, Found | None]], machine: Accelerator, policy: Exact
) -> Certificate:
    """What the searches behind a result proved. A cover is that of one run of its layer.

    Args:
        result: what was estimated.
        solved: every layer that has a nest, by name, and what its search came to, its parts among it; None where its
            mapping was given.
        machine, policy: as searched.
    """
    fanouts = [fanout.name for fanout in machine.fanouts]
    covers = []
    for row in result.layers:
        if not row.has_search:
            continue
        (nest, bits, _), one_run = solved[row.name]
        assert one_run is not None, "a mapping that wasn't given was searched for"
        least = one_run.floor
        choices = tuple(
            Choice(
                levels=one.levels,
                parts=tuple(
                    (spread_text(fanouts, factors), float(bound))
                    for factors, bound in zip(one.factors.tolist(), one.bounds, strict=True)
                ),
            )
            for one in one_run.parts or ()
        )
        covers.append(
            Cover(
                name=row.name,
                nest=nest_data(nest),
                bits={key: getattr(bits, key) for key in ("weights", "inputs", "outputs", "psums")},
                value=one_run.value,
                bound=one_run.bound,
                floor=min(objective_value(result.objective, least.energy, least.cycles), one_run.value),
                choices=choices,
            )
        )
    return sealed(
        model=result.model, hardware=machine.name, objective=result.objective, factors=policy.factors, layers=covers
    )
