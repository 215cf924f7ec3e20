"""The structure of an ONNX file without the bytes of its weights.

picojoule needs shapes, never weights, and weights are nearly all of a model file. So the file is walked in the wire
format of Protocol Buffers and everything is copied except the data of large tensors: a file of many gigabytes
costs as much memory as its structure, and a tensor that claims to be huge is never allocated.
The field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from picojoule.errors import ModelError, SystemFailure

KEEP_BYTES = 4096
"""Tensor data up to this length stays: shapes, axes and pads are tensors too, and they are short."""

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_TENSOR_DATA = frozenset((4, 5, 6, 7, 9, 10, 11))
_FIXED_LENGTH = {1: 8, 5: 4}
_DEEPEST = 100
_LARGEST_STRUCTURE_BYTES = 2**31 - 1


def read_structure(path: Path, label: str) -> bytes:
    """The serialized model in ``path`` without the data of tensors over `KEEP_BYTES`.

    Args:
        path: an ONNX file of any size.
        label: how messages name the file.

    Raises:
        ModelError: the file is empty, cut off, or not in the wire format of ONNX.
        SystemFailure: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                raise ModelError("the file is empty", where=label, hint="Export or download the model again.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if data[:20].startswith(b"version https://git-"):
                    raise ModelError(
                        "this is a Git LFS pointer, not the model", where=label, hint="Run `git lfs pull` to fetch it."
                    )
                structure = _copy(data, 0, len(data), "model", label, 0)
    except OSError as problem:
        raise SystemFailure(f"the file can't be read: {problem.strerror or problem}", where=label) from problem
    if len(structure) > _LARGEST_STRUCTURE_BYTES:
        raise ModelError(
            f"{len(structure)} bytes remain without the weights; at most {_LARGEST_STRUCTURE_BYTES} are allowed",
            where=label,
        )
    return bytes(structure)


def not_onnx(label: str, why: str) -> ModelError:
    """The error for a file whose bytes are no ONNX model."""
    return ModelError(
        f"not a readable ONNX model: {why}",
        where=label,
        hint="The file may be cut off or of another format; export or download it again.",
    )


def _copy(data: mmap.mmap, start: int, end: int, message: str, label: str, depth: int) -> bytearray:
    """The message in ``data[start:end]`` with the data of large tensors left out."""
    if depth > _DEEPEST:
        raise not_onnx(label, f"messages nested more than {_DEEPEST} deep")
    kept = bytearray()
    position = start
    while position < end:
        field_start = position
        key, position = _varint(data, position, end, label)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            _, position = _varint(data, position, end, label)
        elif wire_type in _FIXED_LENGTH:
            position += _FIXED_LENGTH[wire_type]
        elif wire_type == 2:
            length, body = _varint(data, position, end, label)
            position = body + length
        else:
            raise not_onnx(label, f"unknown wire type {wire_type} at byte {field_start}")
        if position > end:
            raise not_onnx(label, f"it ends before the field that starts at byte {field_start} does")
        if wire_type == 2 and length > KEEP_BYTES:
            if message == "tensor" and number in _TENSOR_DATA:
                continue
            child = _CHILDREN[message].get(number)
            if child:
                inner = _copy(data, body, position, child, label, depth + 1)
                kept += _encoded(key) + _encoded(len(inner)) + inner
                continue
        kept += data[field_start:position]
    return kept


def _varint(data: mmap.mmap, position: int, end: int, label: str) -> tuple[int, int]:
    """The base-128 number at ``position`` and the position after it."""
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise not_onnx(label, f"a number is cut off at byte {position}")


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
