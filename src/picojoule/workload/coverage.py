"""How much of a network was costed, and what was not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from picojoule.workload.network import Layer, NotCosted

MULTIPLYING = frozenset(
    "Attention CausalConvWithState Conv ConvInteger ConvTranspose DeformConv Det DFT Einsum FlexAttention GRU Gemm If "
    "LSTM LinearAttention Loop MatMul MatMulInteger QLinearConv QLinearMatMul RNN STFT Scan SequenceMap".split()
)
"""Operators that multiply matrices or may hold some that do: where one is not costed, the share of MACs is unknown."""

_ONLY_MOVING = frozenset(
    f"aten.{name}"
    for name in (
        "argsort as_strided bernoulli bincount bucketize embedding_bag histc masked_select multinomial nonzero rand"
        " rand_like randint randn randn_like randperm searchsorted sort topk unique"
    ).split()
)
"""Operators from outside ONNX that are known to multiply nothing; of all others it is unknown."""


def coverage(
    layers: Iterable[tuple[Layer, int]], not_costed: Iterable[NotCosted], element_bits: int, vector_priced: bool
) -> dict[str, Any]:
    """Shares of MACs and bytes that were costed (None where the rest is unknown), and what was not.

    Args:
        layers: every costed layer with the bits it moves at least once.
        not_costed: operators without a layer; their elements read and written, for the batch as run.
        element_bits: assumed for what an operator without a layer reads and writes.
        vector_priced: whether the machine prices element-wise operations.
    """
    layers, not_costed = list(layers), list(not_costed)
    costed = sum(moved for _, moved in layers)
    left_out = [entry.elements * element_bits if entry.elements is not None else None for entry in not_costed]
    unknown = any(bits is None for bits in left_out)
    total = costed + sum(bits or 0 for bits in left_out)
    return {
        "macs": None if any(_may_multiply(entry.op) for entry in not_costed) else 1.0,
        "bytes": None if unknown else (costed / total if total else 1.0),
        "not_costed": _grouped((entry.op, entry.where) for entry in not_costed),
        "vector_ops_not_priced": []
        if vector_priced
        else _grouped((layer.op or layer.kind, layer.name) for layer, _ in layers if layer.vector_ops),
    }


def _may_multiply(op: str) -> bool:
    return op in MULTIPLYING or ("." in op and op not in _ONLY_MOVING)


def _grouped(entries: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    places: dict[str, list[str]] = {}
    for op, where in entries:
        places.setdefault(op, []).append(where)
    return [{"op": op, "count": len(where), "where": where} for op, where in places.items()]
