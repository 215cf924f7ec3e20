"""What a GPU takes for a piece of work, by a law with few constants: latency and energy of products of matrices and copies.

A piece of work is a product of matrices (a convolution is one, its filter unrolled) or a copy:

    seconds = launch + max(MACs / (rate · filled), bytes / bandwidth)
    filled  = outputs / (outputs + half_outputs) · depth / (depth + half_depth)
    joules  = static power · seconds + MACs · energy per MAC + bytes · energy per byte

``filled`` is the share of the arithmetic that the work can keep busy: few outputs leave units without work, a short
reduction ends before the pipelines are full. It is the roofline (Williams et al., CACM 2009) with a ridge that depends
on the size. A network is the sum of its layers: nothing overlaps, nothing is fused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from picojoule.errors import UsageError, nearest
from picojoule.workload.network import Layer, Network

SCHEMA = "picojoule/device-table/1"
WIDTH_BYTES = {"float64": 8, "float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2, "float8": 1, "int8": 1}
"""Bytes of an element by type; ``tf32`` is stored in four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A product of matrices, or a copy if it has no MACs.

    Attributes:
        outputs: elements of the result, of all groups.
        depth: products that are added up for each.
        moved_bytes: read and written, each once.
    """

    outputs: int = 0
    depth: int = 0
    moved_bytes: float

    @property
    def macs(self) -> int:
        return self.outputs * self.depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Constants of one type of number.

    Attributes:
        macs_per_s: at full occupation.
        half_outputs, half_depth: of a product that fills half of it.
        pj_per_mac: None where no energy was measured.
    """

    macs_per_s: float
    half_outputs: float
    half_depth: float
    pj_per_mac: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTable:
    """Latency and energy of a device.

    Attributes:
        name: of the device.
        launch_s: of the smallest piece of work.
        bytes_per_s: between chip and memory.
        arithmetic: constants by type.
        static_w: power that time alone costs; None where no energy was measured.
        pj_per_byte: of what moves between chip and memory; None where no energy was measured.
    """

    name: str
    launch_s: float
    bytes_per_s: float
    arithmetic: Mapping[str, Arithmetic]
    static_w: float | None = None
    pj_per_byte: float | None = None

    def seconds(self, work: Work, dtype: str) -> float:
        """Latency of a piece of work.

        Raises:
            UsageError: the table has no such type.
        """
        copying = work.moved_bytes / self.bytes_per_s
        if not work.macs:
            return self.launch_s + copying
        kind = self._kind(dtype)
        filled = work.outputs / (work.outputs + kind.half_outputs) * work.depth / (work.depth + kind.half_depth)
        return self.launch_s + max(work.macs / (kind.macs_per_s * filled), copying)

    def joules(self, work: Work, dtype: str) -> float | None:
        """Energy of a piece of work; None where none was measured."""
        if self.static_w is None or self.pj_per_byte is None:
            return None
        spent = self.static_w * self.seconds(work, dtype) + 1e-12 * self.pj_per_byte * work.moved_bytes
        if not work.macs:
            return spent
        pj_per_mac = self._kind(dtype).pj_per_mac
        return None if pj_per_mac is None else spent + 1e-12 * pj_per_mac * work.macs

    def network(self, network: Network, dtype: str) -> tuple[float, float | None]:
        """Seconds and joules of a network, the sum over its layers."""
        pieces = [(work_of(layer, WIDTH_BYTES[dtype]), layer.repeats) for layer in network.layers]
        joules = [self.joules(work, dtype) for work, _ in pieces]
        seconds = math.fsum(self.seconds(work, dtype) * repeats for work, repeats in pieces)
        if any(one is None for one in joules):
            return seconds, None
        return seconds, math.fsum(
            one * repeats for one, (_, repeats) in zip(joules, pieces, strict=True) if one is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a file."""
        return {"schema": SCHEMA, **asdict(self)}

    def _kind(self, dtype: str) -> Arithmetic:
        if dtype not in self.arithmetic:
            raise UsageError(
                f"the table of {self.name} has no {dtype}", where="dtype", hint=nearest(dtype, self.arithmetic)
            )
        return self.arithmetic[dtype]


def matmul(m: int, n: int, k: int, width_bytes: int) -> Work:
    """The product of an m × k and a k × n matrix.

    >>> matmul(2, 3, 4, 2).macs
    24
    """
    return Work(outputs=m * n, depth=k, moved_bytes=width_bytes * (m * k + k * n + m * n))


def work_of(layer: Layer, width_bytes: int) -> Work:
    """A layer as a product of matrices; one without loops as a copy of what it reads and writes."""
    nest = layer.nest
    if nest is None:
        return Work(moved_bytes=width_bytes * (layer.read_elements + layer.read_weights + layer.written_elements))
    moved = sum(nest.elements(tensor) for tensor in ("weights", "inputs", "outputs"))
    return Work(outputs=nest.elements("outputs"), depth=nest.C * nest.R * nest.S, moved_bytes=width_bytes * moved)
