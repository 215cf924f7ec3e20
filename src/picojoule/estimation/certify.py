"""The certificate of a result: for every layer that was searched, all parts of its map space with their bounds."""

from __future__ import annotations

from collections.abc import Mapping

from picojoule.certificate import Certificate, Choice, Cover, nest_data, sealed, spread_text
from picojoule.hardware.accelerator import Accelerator
from picojoule.result import Estimate
from picojoule.search.costed import Found
from picojoule.search.many import Key
from picojoule.search.policy import Exact


def certificate_of(
    result: Estimate, names: Mapping[Key, str], found: Mapping[Key, Found], machine: Accelerator, policy: Exact
) -> Certificate:
    """What the searches behind a result proved.

    Args:
        result: what was estimated.
        names: the first row of the result with this nest and these widths, for each of them.
        found: what each search came to, its parts among it.
        machine, policy: as searched.
    """
    rows = {row.name: row for row in result.layers if row.same_as is None}
    fanouts = [fanout.name for fanout in machine.fanouts]
    covers = []
    for (nest, bits), name in names.items():
        row = rows[name]
        choices = tuple(
            Choice(
                levels=one.levels,
                parts=tuple(
                    (spread_text(fanouts, factors), float(bound))
                    for factors, bound in zip(one.factors.tolist(), one.bounds, strict=True)
                ),
            )
            for one in found[nest, bits].parts or ()
        )
        covers.append(
            Cover(
                name=name,
                nest=nest_data(nest),
                bits={key: getattr(bits, key) for key in ("weights", "inputs", "outputs", "psums")},
                value=row.value,
                bound=row.bound,
                floor=row.floor,
                choices=choices,
            )
        )
    return sealed(
        model=result.model, hardware=machine.name, objective=result.objective, factors=policy.factors, layers=covers
    )
