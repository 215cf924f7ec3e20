"""Where two measurements of one arm differ by more than another processor's rounding explains."""

from __future__ import annotations

from typing import Any

ACCURACY = 0.0005
"""Four of 8,000 images that lie on the edge between two classes."""
ACCURACY_INT8 = 0.002
"""ONNX Runtime rounds by other instructions on other processors, and a calibration may tie with another."""
ENERGY = 1e-3
"""Of the energy: zeros of activations on 128 images."""
ZEROS = 1e-7
"""Shares of zeros are means in float32."""
TIMED = ("batch 1", "batch 64", "accuracy_before_tuning")
"""Not measured again."""


def differences(known: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    """A line for each figure of ``known`` that ``measured`` contradicts or lacks."""
    lines = []
    for key, value in _flat(known):
        if key[0] in TIMED:
            continue
        now = dict(_flat(measured)).get(key)
        if now is None or abs(now - value) > _tolerance(key[0], value):
            lines.append(f"{' '.join(key)}: {value:.8g} is known, {'nothing' if now is None else format(now, '.8g')} measured")
    return lines


def _tolerance(key: str, value: float) -> float:
    return {"accuracy": ACCURACY, "accuracy_int8": ACCURACY_INT8, "energy": ENERGY * value, "without_zeros": ENERGY * value, "zeros": ZEROS}.get(
        key, 1e-9 * abs(value)
    )  # fmt: skip


def _flat(figures: dict[str, Any], under: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], float]]:
    found: list[tuple[tuple[str, ...], float]] = []
    for key, value in figures.items():
        found += _flat(value, (*under, key)) if isinstance(value, dict) else [((*under, key), value)]
    return found
