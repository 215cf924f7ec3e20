"""Parameters of a description: ``$name`` stands for a value that the file gives, or that whoever loads it sets.

A family of machines is one file: its ``parameters`` are those of the member that is meant without more words, its
``variants`` are named sets of others. ``FAMILY:B512`` chooses one, ``FAMILY:B512,memory=2 MiB`` sets single ones as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from picojoule.errors import HardwareError, UsageError, nearest
from picojoule.hardware.document import FieldPath, Origin
from picojoule.hardware.schema import short

Value = int | float | str

_REFERENCE = re.compile(r"\$([A-Za-z][A-Za-z0-9_.-]*?)(?:\s*([*/])\s*([1-9]\d{0,8}))?")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_OWN = ("parameters", "variants")


def fill_in(data: object, chosen: str, origin: Origin) -> object:
    """The description with every ``$name`` replaced, named after what was chosen, and without its variants.

    Args:
        data: plain data of a description.
        chosen: variants and settings, separated by commas; empty for the parameters as the file has them.
        origin: where the data came from.

    Raises:
        HardwareError: a parameter without a value, a variant that is none, a fraction where whole numbers are divided.
        UsageError: a name in ``chosen`` that the file doesn't have.
    """
    if not isinstance(data, dict) or not (chosen or any(key in data for key in _OWN)):
        return data
    values = dict(_values(data.get("parameters", {}), ("parameters",), origin))
    variants = data.get("variants", {})
    if not isinstance(variants, dict):
        raise HardwareError(f"expected a table of variants, got {short(variants)}", where=origin.at("variants"))
    for name, variant in variants.items():
        _known(_values(variant, ("variants", name), origin), values, origin.at("variants", name))
    set_by: dict[str, str] = {}
    for part in chosen.split(",") if chosen else ():
        setting = _setting(part, variants, values, origin)
        _check_agree(part.strip(), setting, values, set_by, origin)
        values |= setting
    whole = {key: _filled(value, values, (key,), origin) for key, value in data.items() if key not in _OWN}
    if values:
        whole["parameters"] = values
    if chosen and isinstance(whole.get("name"), str):
        whole["name"] = f"{whole['name']}-{re.sub(r'[^A-Za-z0-9._]+', '-', chosen).strip('-')}"
    return whole


def _values(table: object, path: FieldPath, origin: Origin) -> Mapping[str, Value]:
    if not isinstance(table, dict):
        raise HardwareError(f"expected a table of parameters, got {short(table)}", where=origin.at(*path))
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise HardwareError(
                f"a parameter is a number or a text, got {short(value)}", where=origin.at(*path, name)
            )
    return table


def _known(table: Mapping[str, Value], values: Mapping[str, Value], where: str) -> None:
    for name in table:
        if name not in values:
            raise HardwareError(
                f"there is no parameter {name!r}", where=where, hint=nearest(name, values) or "List it under parameters."
            )


def _check_agree(
    part: str, setting: Mapping[str, Value], values: Mapping[str, Value], set_by: dict[str, str], origin: Origin
) -> None:
    """Raises UsageError where a parameter is set twice by the same kind of choice, variants or settings, to different values.

    A setting may change what a variant says: ``B512,memory=2 MiB``.
    """
    single = "=" in part
    for name, value in setting.items():
        other = set_by.get(name)
        if other is not None and ("=" in other) == single and values[name] != value:
            what = "the parameter is set twice" if single else "each is a machine of its own"
            raise UsageError(
                f"of {origin.name} both {other} and {part} are chosen, with different {name}",
                where="hardware",
                hint=f"Name one of them: {what}.",
            )
        if single and other is not None and "=" not in other:
            continue
        set_by[name] = part


def _setting(
    part: str, variants: Mapping[str, Mapping[str, Value]], values: Mapping[str, Value], origin: Origin
) -> Mapping[str, Value]:
    name, sign, text = (piece.strip() for piece in part.partition("="))
    if not name:
        hint = "Write variants and NAME=VALUE, with a comma between."
        raise UsageError(f"of {origin.name} nothing is chosen in {part!r}", where="hardware", hint=hint)
    if not sign:
        if name not in variants:
            has = nearest(name, variants) if variants else "It has no variants."
            raise UsageError(f"{origin.name} has no variant {name!r}", where="hardware", hint=has)
        return variants[name]
    if name not in values:
        has = nearest(name, values) if values else "It has no parameters."
        raise UsageError(f"{origin.name} has no parameter {name!r}", where="hardware", hint=has)
    if not text:
        raise UsageError(f"the parameter {name!r} is set to nothing", where="hardware", hint=f"Write {name}=VALUE.")
    if text.lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise UsageError(
            f"the parameter {name!r} is set to {text}, which is no finite number",
            where="hardware",
            hint=f"Write {name}=NUMBER, or leave it at {values[name]}.",
        )
    if _NUMBER.fullmatch(text):
        return {name: int(text) if text.lstrip("+-").isdigit() else float(text)}
    return {name: text}


def _filled(value: object, values: Mapping[str, Value], path: FieldPath, origin: Origin) -> object:
    if isinstance(value, dict):
        return {key: _filled(inner, values, (*path, key), origin) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values, (*path, i), origin) for i, inner in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    where = origin.at(*path)
    whole = _REFERENCE.fullmatch(value.strip())
    if whole:
        return _computed(whole, values, where)
    return _REFERENCE.sub(lambda match: str(_computed(match, values, where)), value)


def _computed(match: re.Match[str], values: Mapping[str, Value], where: str) -> Value:
    name, sign, number = match.groups()
    if name not in values:
        raise HardwareError(
            f"${name} has no value", where=where, hint=nearest(name, values) if values else "List it under parameters."
        )
    value = values[name]
    if sign is None or (isinstance(value, int | float) and value <= 0):
        return value  # of what can't be, the field says so
    if isinstance(value, str):
        raise HardwareError(f"${name} is {short(value)}: no number to be computed with", where=where)
    if sign == "*":
        return value * int(number)
    if isinstance(value, int) and value % int(number) == 0:
        return value // int(number)
    if isinstance(value, int):
        raise HardwareError(f"${name} is {value}, which {number} doesn't divide", where=where)
    return value / int(number)
