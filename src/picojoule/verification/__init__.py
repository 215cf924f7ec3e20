"""Checks a result again, with code of its own: it shares nothing with mapping, cost and search.

plan      reads a mapping and checks that it is legal
chunks    one dimension cut into chunks, in closed form
recount   every access, and the cycles
least     the floor
layers    the checks of one layer
memory    which activations are there at each layer
network   the checks of the whole
outcome   what a verification is
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picojoule.result import Estimate, LayerEstimate
from picojoule.result_file import estimate_from_data, read_document
from picojoule.verification.layers import Asked, identity, layer_checks, same_row_check
from picojoule.verification.network import COUNTINGS, OBJECTIVES, rebuilt_machine, whole_checks
from picojoule.verification.outcome import Check, Verification
from picojoule.verification.plan import Refuted

__all__ = ["Check", "Verification", "verify", "verify_document"]


def verify(result: Path | str | Estimate) -> Verification:
    """Checks a result again: legality of the mappings, counts, energies, cycles, floor, sums, order and hash.

    What can be derived from the machine, the nests and the mappings in the result is derived anew and compared. The
    bound is checked for its place between floor and value; that no mapping beats it can't be seen without the search,
    only that nobody changed it.

    Args:
        result: a result file, or what ``estimate`` returned.

    Returns:
        A ``Verification``: ``ok``, and every check that was made.

    Raises:
        ResultFileError: the file is no result file.
        SystemFailure: the file can't be read.

    Example:
        >>> import picojoule
        >>> picojoule.verify(picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")).ok
        True
    """
    if isinstance(result, Estimate):
        return verify_document(result.to_data())
    return verify_document(read_document(result), where=str(result))


def verify_document(document: dict[str, Any], *, where: str = "result") -> Verification:
    """The same for the plain data of a result; keys that this version doesn't know are under its hash, too.

    Raises:
        ResultFileError: the data doesn't have the keys and types of a result.
    """
    estimate = estimate_from_data(document, where=where)
    try:
        machine = rebuilt_machine(estimate)
    except Refuted as refutation:
        # Nothing can be re-derived without a machine.
        failed = Check(name="machine and table", where="", ok=False, message=str(refutation))
        return Verification(ok=False, checks=(failed,))
    checks = list(whole_checks(estimate, document, machine))
    if estimate.objective not in OBJECTIVES or estimate.counting not in COUNTINGS:
        return Verification(ok=False, checks=tuple(checks))
    asked = Asked(machine, estimate.objective, estimate.counting)
    first: dict[str, LayerEstimate] = {}
    for layer in estimate.layers:
        key = identity(layer)
        original = first.setdefault(key, layer) if key is not None else layer
        checks.append(same_row_check(layer, None if original is layer else original))
        if original is layer:
            checks += layer_checks(layer, asked)
    return Verification(ok=all(check.ok for check in checks), checks=tuple(checks))
