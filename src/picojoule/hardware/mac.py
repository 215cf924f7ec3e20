"""What a multiply–accumulate costs and takes, by the widths of its operands."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.errors import HardwareError
from picojoule.workload.nest import Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class MacMode:
    """How a MAC unit works on operands up to a width.

    Attributes:
        weights, inputs: the widest operands of the mode.
        cycles: that a MAC takes.
        multiply, add: energies at just these widths; None where the law of ``MacEnergy`` has them.
    """

    weights: int
    inputs: int
    cycles: float = 1.0
    multiply: float | None = None
    add: float | None = None

    def fits(self, bits: Bits) -> bool:
        """Whether operands of these widths are no wider than those of the mode."""
        return bits.weights <= self.weights and bits.inputs <= self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class MacEnergy:
    """Energy of one multiply–accumulate and how it scales with width.

    The multiplier scales with the product of its operand widths, the adder with the wider operand:
    ``multiply · (weights · inputs) / bits² + add · max(weights, inputs) / bits``.

    Attributes:
        bits: operand width that ``multiply`` and ``add`` are for.
        widths: least and largest operand width that the law is known for; None where nobody said.
        modes: widths that the unit works at, the first that fits being used; empty where it works at any, a MAC a cycle.
    """

    bits: int
    multiply: float
    add: float = 0.0
    widths: tuple[int, int] | None = None
    modes: tuple[MacMode, ...] = ()

    def at(self, bits: Bits) -> float:
        """Energy of one MAC on operands of these widths.

        Raises:
            HardwareError: wider than every mode.
        """
        mode = self.mode(bits)
        weights, inputs, multiply, add = self.bits, self.bits, self.multiply, self.add
        if mode is not None and mode.multiply is not None and mode.add is not None:
            weights, inputs, multiply, add = mode.weights, mode.inputs, mode.multiply, mode.add
        product = bits.weights * bits.inputs / (weights * inputs)
        return multiply * product + add * max(bits.weights, bits.inputs) / max(weights, inputs)

    def cycles(self, bits: Bits) -> float:
        """Cycles that one unit takes for one MAC on operands of these widths.

        Raises:
            HardwareError: wider than every mode.
        """
        mode = self.mode(bits)
        return 1.0 if mode is None else mode.cycles

    def mode(self, bits: Bits) -> MacMode | None:
        """The mode for operands of these widths; None where the unit has no modes.

        Raises:
            HardwareError: wider than every mode.
        """
        if not self.modes:
            return None
        for mode in self.modes:
            if mode.fits(bits):
                return mode
        widest = " or ".join(f"{mode.weights} × {mode.inputs}" for mode in self.modes)
        raise HardwareError(
            f"its MACs take operands of up to {widest} bits, and these are weights of {bits.weights} and inputs of "
            f"{bits.inputs}",
            where="mac.modes",
            hint="Use narrower elements (--bits).",
        )
