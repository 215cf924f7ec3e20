"""Timeloop's constraints: the targets of a file of them (v0.3), or what stands with a component (v0.4)."""

from __future__ import annotations

import re

from picojoule.errors import nearest
from picojoule.hardware.timeloop.design import DIMS, TENSORS, Constraint, Factor
from picojoule.hardware.timeloop.fields import Field, LeftOut, check_version, child

KINDS = {
    "bypass": "dataspace", "datatype": "dataspace", "dataspace": "dataspace",
    "temporal": "temporal", "spatial": "spatial",
}  # fmt: skip
_DATASPACE = ("keep", "bypass", "keep_only", "bypass_only")
_LOOPS = ("factors", "permutation", "split")
_UNSAID = {
    "no_reuse": "reuse can't be forbidden by tensor",
    "no_multicast_no_reduction": "multicast and reduction belong to an array, not to a tensor",
    "no_link_transfer": "transfers between neighbours are not modelled",
    "no_iteration_over_dataspaces": "the order of loops can't be imposed",
    "factors_only": "the factors that are left can't be forbidden",
    "rmw_first_update": "the first update of a partial sum reads nothing",
    "min": "a least share of use can't be imposed",
    "max_overbooked_proportion": "tiles always fit",
}
_FACTOR = re.compile(r"([A-Za-z])\s*(<=|=)?\s*(\d{1,9})")
_WRITTEN = re.compile(r"[A-Za-z]\s*(?:<=|=)?\s*\d+")


def read_targets(field: Field, left_out: LeftOut) -> list[Constraint]:
    """The constraints of ``architecture_constraints``.

    Raises:
        HardwareError: they are malformed.
    """
    found = []
    top = field.table(("version", "targets"))
    check_version(top)
    for target in child(top, field, "targets").items():
        allowed = ("target", "name", "type", *_DATASPACE, *_LOOPS, *_UNSAID)
        fields = target.table(allowed)
        name = (fields.pop("target", None) or child(fields, target, "name")).text()
        fields.pop("name", None)
        kind = child(fields, target, "type")
        del fields["type"]
        if kind.text() not in KINDS:
            if kind.text() in ("utilization", "max-overbooked-proportion", "max_overbooked_proportion"):
                left_out.note(target, f"{name}, {kind.text()}", "it bounds the search, and can't be imposed")
                continue
            raise kind.refused(f"unknown kind of constraint {kind.text()!r}", nearest(kind.text(), KINDS))
        found.append(_constraint(name, KINDS[kind.text()], target, fields, left_out))
    return found


def read_inline(name: str, field: Field, left_out: LeftOut) -> list[Constraint]:
    """The constraints that stand with the component or container ``name``.

    Raises:
        HardwareError: they are malformed.
    """
    kinds = field.table(("dataspace", "temporal", "spatial", "max_overbooked_proportion"))
    if "max_overbooked_proportion" in kinds:
        left_out.note(kinds.pop("max_overbooked_proportion"), name, _UNSAID["max_overbooked_proportion"])
    return [
        _constraint(name, kind, one, one.table((*_DATASPACE, *_LOOPS, *_UNSAID)), left_out)
        for kind, one in kinds.items()
    ]


def _constraint(name: str, kind: str, field: Field, fields: dict[str, Field], left_out: LeftOut) -> Constraint:
    for key, one in fields.items():
        if key in _UNSAID:
            left_out.note(one, f"{name}, {kind}, {key}", _UNSAID[key])
        elif (key in _DATASPACE) != (kind == "dataspace"):
            raise one.refused(f"{key!r} can't be said of a {kind} constraint")
    tensors = {key: _tensors(fields[key]) if key in fields else () for key in _DATASPACE}
    keep, bypass = tensors["keep"] + tensors["keep_only"], tensors["bypass"] + tensors["bypass_only"]
    if "keep_only" in fields:
        bypass += tuple(t for t in TENSORS.values() if t not in keep)
    if "bypass_only" in fields:
        keep += tuple(t for t in TENSORS.values() if t not in bypass)
    both = [tensor for tensor in keep if tensor in bypass]
    if both:
        raise field.refused(f"{name} must both keep {both[0]} and let them pass")
    return Constraint(
        target=name,
        kind=kind,
        field=field,
        keep=keep,
        bypass=bypass,
        factors=_factors(fields["factors"]) if "factors" in fields else {},
        permutation=_permutation(fields["permutation"]) if "permutation" in fields else "",
        split=_split(fields["split"]) if "split" in fields else None,
    )


def _split(field: Field) -> int:
    if not isinstance(field.value, int) or isinstance(field.value, bool) or field.value < 0:
        raise field.refused(f"must be a whole number from 0, got {field.value!r}")
    return field.value


def _tensors(field: Field) -> tuple[str, ...]:
    if isinstance(field.value, str):
        raise field.refused(f"expected a list of tensors; got {field.value!r}", "Write [Weights, Inputs].")
    names = field.items()
    for one in names:
        if one.text() not in TENSORS:
            raise one.refused(f"unknown tensor {one.text()!r}", nearest(one.text(), TENSORS))
    return tuple(TENSORS[one.text()] for one in names)


def _letter(field: Field, letter: str) -> str:
    if letter not in DIMS:
        raise field.refused(f"unknown dimension {letter!r}", nearest(letter, DIMS))
    return letter


def _factors(field: Field) -> dict[str, Factor]:
    words = [one.text() for one in field.items()] if isinstance(field.value, list) else None
    text = " ".join(words) if words is not None else field.text()
    if _WRITTEN.sub("", text).replace(",", " ").strip():
        raise field.refused(f"{text!r} is no list of factors", "Write N=1 C<=4 S=0, or a list of these.")
    factors: dict[str, Factor] = {}
    for match in _FACTOR.finditer(text):
        letter = _letter(field, match[1])
        if letter in factors:
            raise field.refused(f"{letter} is there twice", "Keep one of the two.")
        exact = match[2] != "<="
        factors[letter] = Factor(number=int(match[3]), exact=exact, written=f"{letter}{match[2] or '='}{match[3]}")
    return factors


def _permutation(field: Field) -> str:
    words = [one.text() for one in field.items()] if isinstance(field.value, list) else [field.text()]
    letters = "".join("".join(words).replace(",", " ").split())
    for letter in letters:
        _letter(field, letter)
    if len(set(letters)) != len(letters):
        raise field.refused(f"{letters!r} names a dimension twice")
    return letters
