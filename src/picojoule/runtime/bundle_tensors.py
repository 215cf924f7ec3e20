"""Whether an ONNX file holds all of its tensors itself: found in the wire format, without the package onnx.

A tensor may name another file for its data, which ONNX Runtime would open. The field numbers are those of
``onnx.proto``.
"""

from __future__ import annotations

from picojoule.errors import BundleError

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_FIXED_LENGTH = {1: 8, 5: 4}
_DEEPEST = 100


def outside_tensor(model: bytes, *, where: str) -> str | None:
    """The name of a tensor whose data are elsewhere; None if there is none.

    Raises:
        BundleError: the bytes are not in the wire format of ONNX.
    """
    view = memoryview(model)
    pending = [("model", 0, len(view), 0)]
    while pending:
        message, start, end, depth = pending.pop()
        if depth > _DEEPEST:
            raise BundleError(f"not an ONNX file: messages nested more than {_DEEPEST} deep", where=where)
        outside, name = False, ""
        for number, value, body in _fields(view, start, end, where):
            if message == "tensor":
                outside |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
                if number == _NAME and body:
                    name = bytes(view[body[0] : body[1]]).decode("utf-8", "replace")
            child = _CHILDREN.get(message, {}).get(number)
            if child and body:
                pending.append((child, *body, depth + 1))
        if outside:
            return name
    return None


def _fields(view: memoryview, position: int, end: int, where: str) -> list[tuple[int, int, tuple[int, int] | None]]:
    """Number, value, and where the body of each field lies that has a length."""
    found: list[tuple[int, int, tuple[int, int] | None]] = []
    while position < end:
        key, position = _varint(view, position, end, where)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = _varint(view, position, end, where)
            found.append((number, value, None))
        elif wire_type == 2:
            length, start = _varint(view, position, end, where)
            position = start + length
            found.append((number, length, (start, position)))
        elif wire_type in _FIXED_LENGTH:
            position += _FIXED_LENGTH[wire_type]
        else:
            raise BundleError(f"not an ONNX file: unknown wire type {wire_type}", where=where)
        if position > end:
            raise BundleError("not an ONNX file, or cut off", where=where)
    return found


def _varint(view: memoryview, position: int, end: int, where: str) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = view[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise BundleError("not an ONNX file, or cut off", where=where)
