"""Checks a result again, with code of its own: it shares nothing with mapping, cost and search.

plan      reads a mapping and checks that it is legal
chunks    one dimension cut into chunks, in closed form
recount   every access, and the cycles
least     the floor
zeros     what zeros spare
settling  the machine of a layer: its engine, its pace, where its tensors live; ``handover`` finds what stays on the chip
layers    the checks of one layer
groups    layers that run fused: who may, what every tile makes, what lies on the chip; ``fused_rows`` checks their figures
memory    which activations are there at each layer
network   the checks of the whole
cover     the checks of a certificate: ``space`` enumerates its parts, ``parts`` derives their bounds
          ``ties`` derives that nothing as cheap is faster
          (``windows`` counts rows, ``terms`` prices boundaries, ``simple`` and ``chains`` find the least)
outcome   what a verification is
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from picojoule import certificate as certificates
from picojoule.certificate import Certificate
from picojoule.errors import UsageError
from picojoule.result import Estimate, LayerEstimate
from picojoule.result_file import estimate_from_data, read_document
from picojoule.verification import cover
from picojoule.verification.fused_rows import FusedRows
from picojoule.verification.groups import find_groups
from picojoule.verification.handover import check_stays, what_stays
from picojoule.verification.layers import Asked, identity, layer_checks, same_row_check
from picojoule.verification.network import COUNTINGS, OBJECTIVES, rebuilt_machine, whole_checks
from picojoule.verification.outcome import Check, Verification, attempt
from picojoule.verification.plan import Refuted
from picojoule.verification.zeros import check_effect

SAMPLE = 40
"""Parts of a certificate that are solved again, unless one asks for more."""
EVERY = "all"
"""Asks for all of them."""

__all__ = ["Check", "Verification", "verify", "verify_document"]


def verify(
    result: Path | str | Estimate,
    *,
    certificate: Path | str | Certificate | None = None,
    sample: int | str | None = SAMPLE,
    seed: int = 0,
) -> Verification:
    """Checks a result again: legality of the mappings, counts, energies, cycles, floor, sums, order and hash.

    What can be derived from the machine, the nests and the mappings in the result is derived anew and compared. The
    bound is checked for its place between floor and value. That no mapping beats it can be seen with the certificate
    of the search: its parts must cover the map space, and the bound of each must hold. Without it one only sees that
    nobody changed the bound.

    Args:
        result: a result file, or what ``estimate`` returned.
        certificate: the file that ``estimate`` wrote with it, or its contents.
        sample: how many parts to solve again of those whose bound doesn't follow from a simple one; ``"all"`` or
            None for all.
        seed: which parts these are.

    Returns:
        A ``Verification``: ``ok``, and every check that was made.

    Raises:
        ResultFileError: the file is no result file.
        CertificateError: the certificate is none.
        UsageError: a sample that is neither a number of parts nor all.
        SystemFailure: a file can't be read.

    Example:
        >>> import picojoule
        >>> picojoule.verify(picojoule.estimate("merkel:L1", hardware="eyeriss-normalized")).ok
        True
    """
    drawn = cover.Sample(_size(sample), seed)
    proof = None
    if certificate is not None:
        given = isinstance(certificate, Certificate)
        data = (
            certificate.to_data() if isinstance(certificate, Certificate) else certificates.read_document(certificate)
        )
        proof = certificates.certificate_from_data(data, where="certificate" if given else str(certificate)), data
    if isinstance(result, Estimate):
        return _verified(result.to_data(), "result", proof, drawn)
    return _verified(read_document(result), str(result), proof, drawn)


def _size(sample: int | str | None) -> int | None:
    """Parts to draw; None for all."""
    if sample is None or sample == EVERY:
        return None
    if type(sample) is not int or sample < 0:
        raise UsageError(f"a sample is a number of parts or {EVERY!r}, got {sample!r}", where="sample")
    return sample


def verify_document(document: dict[str, Any], *, where: str = "result") -> Verification:
    """The same for the plain data of a result; keys that this version doesn't know are under its hash, too.

    Raises:
        ResultFileError: the data doesn't have the keys and types of a result.
    """
    return _verified(document, where, None, cover.Sample(SAMPLE, 0))


def _verified(
    document: dict[str, Any], where: str, proof: tuple[Certificate, dict[str, Any]] | None, drawn: cover.Sample
) -> Verification:
    estimate = estimate_from_data(document, where=where)
    try:
        machine = rebuilt_machine(estimate)
    except Refuted as refutation:
        # Nothing can be re-derived without a machine.
        failed = Check(name="machine and table", where="", ok=False, message=str(refutation))
        return Verification(ok=False, checks=(failed,))
    checks = list(whole_checks(estimate, document, machine, certified=proof is not None))
    if estimate.objective not in OBJECTIVES or estimate.counting not in COUNTINGS:
        return Verification(ok=False, checks=tuple(checks))
    stays = what_stays(estimate, machine)
    checks.append(attempt("what stays on the chip", "", partial(check_stays, estimate, stays)))
    try:
        members = find_groups(estimate, machine)
    except (Refuted, KeyError, TypeError, ValueError, IndexError) as refutation:
        checks.append(Check(name="groups", where="", ok=False, message=str(refutation)))
        return Verification(ok=False, checks=tuple(checks))
    fused = FusedRows(estimate, machine, members)
    asked = Asked(machine, estimate.objective, estimate.counting, stays)
    first: dict[str, LayerEstimate] = {}
    for layer in estimate.layers:
        key = identity(layer, asked)
        original = first.setdefault(key, layer) if key is not None else layer
        checks.append(same_row_check(layer, None if original is layer else original))
        if original is layer:
            checks += layer_checks(layer, asked, fused.checks if layer.group is not None else None)
    if estimate.groups:
        checks.append(attempt("groups", "", fused.check))
    if machine.minds_zeros or estimate.zeros_effect is not None:
        checks.append(attempt("effect of zeros", "", partial(_check_effect, estimate, asked, first)))
    if proof is not None:
        checks += cover.certificate_checks(estimate, machine, proof[1], proof[0], drawn)
    return Verification(ok=all(check.ok for check in checks), checks=tuple(checks))


def _check_effect(estimate: Estimate, asked: Asked, first: dict[str, LayerEstimate]) -> str:
    """The effect over all layers, those that equal an earlier one among them."""
    originals = [first.get(identity(layer, asked) or "", layer).name for layer in estimate.layers]
    effects = [asked.effects[name] for name in originals if name in asked.effects]
    return check_effect(estimate.zeros_effect, effects)
