"""Which width every tensor has: what the user asks, else what the model says, else what the machine says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from picojoule.errors import UsageError, nearest
from picojoule.workload.nest import Bits
from picojoule.workload.network import WEIGHTLESS, Layer, ModelBits

BitsRequest = int | str | Mapping[str, int] | Bits | None
_NAMES = ("weights", "inputs", "outputs", "psums")


def parse_bits(request: BitsRequest) -> dict[str, int] | None:
    """Widths that were asked for, by tensor; None if nothing was.

    ``8`` sets weights, inputs and outputs and leaves partial sums to the machine; ``"weights=4,inputs=8"`` sets what
    it names.

    Raises:
        UsageError: an unknown tensor, or a width that is no whole number from 1 to 64.
    """
    if request is None:
        return None
    if isinstance(request, Bits):
        return asdict(request)
    if isinstance(request, int) and not isinstance(request, bool):
        asked: dict[str, object] = dict.fromkeys(_NAMES[:3], request)
    elif isinstance(request, str):
        asked = _from_text(request)
    elif isinstance(request, Mapping):
        asked = dict(request)
    else:
        raise UsageError(f"bits must be a number or name widths, got {request!r}", where="bits", hint=_HOW)
    for name, width in asked.items():
        if name not in _NAMES:
            raise UsageError(f"bits of an unknown tensor {name!r}", where="bits", hint=nearest(str(name), _NAMES))
        if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 64:
            raise UsageError(
                f"bits of {name} must be a whole number from 1 to 64, got {width!r}", where="bits", hint=_HOW
            )
    return {name: int(width) for name, width in asked.items()}  # type: ignore[call-overload]


def effective_bits(asked: dict[str, int] | None, of_model: Bits | ModelBits | None, of_machine: Bits) -> Bits:
    """The widths of one layer."""
    said = {} if of_model is None else {name: width for name, width in asdict(of_model).items() if width is not None}
    return replace(of_machine, **{**said, **(asked or {})})


def layer_bits(layer: Layer, asked: dict[str, int] | None, of_machine: Bits) -> Bits:
    """The widths of ``layer``; in a product of two activations both operands are as wide as inputs."""
    bits = effective_bits(asked, layer.bits, of_machine)
    return replace(bits, weights=bits.inputs) if layer.kind == WEIGHTLESS else bits


_HOW = 'Write 8, or "weights=4,inputs=8,outputs=8,psums=20".'


def _from_text(text: str) -> dict[str, object]:
    if "=" not in text:
        return dict.fromkeys(_NAMES[:3], _number(text))
    asked: dict[str, object] = {}
    for part in text.split(","):
        name, equals, width = part.partition("=")
        name = name.strip()
        if not equals:
            raise UsageError(f"{part!r} names no width", where="bits", hint=_HOW)
        if name in asked:
            raise UsageError(f"bits of {name} are given twice", where="bits")
        asked[name] = _number(width)
    return asked


def _number(text: str) -> object:
    stripped = text.strip()
    return int(stripped) if stripped.isdecimal() and len(stripped) < 4 else stripped
