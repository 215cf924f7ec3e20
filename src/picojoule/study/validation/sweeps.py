"""The layers of the experiments: a base layer, and one parameter of it varied at a time.

Šíma, Vidnerová and Mrázek, "Energy complexity model for convolutional neural networks" (ICANN 2023); the settings are
those of their repository timeloop-accelergy-test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from picojoule.workload.nest import Nest


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A square convolution in the document's letters.

    Attributes:
        d: feature maps (the document's p; d in its experiments).
        q: input feature maps.
        n: height and width of an input map.
        r: height and width of the receptive fields.
        s: stride.
    """

    d: int
    q: int
    n: int
    r: int
    s: int

    @property
    def m(self) -> int:
        """Height and width of an output map: ⌈(n − r)/s⌉ + 1. The last field may reach beyond the input."""
        return -(-(self.n - self.r) // self.s) + 1

    @property
    def nest(self) -> Nest:
        """As loops. Like the authors' Timeloop, without padding: the input is as large as the fields reach."""
        return Nest(K=self.d, C=self.q, P=self.m, Q=self.m, R=self.r, S=self.r, stride=(self.s, self.s))

    @property
    def term(self) -> float:
        """d·q·n²·r²/s², which the number of MACs approaches as n grows."""
        return self.d * self.q * (self.n * self.r / self.s) ** 2


BASE = Convolution(d=64, q=3, n=224, r=11, s=4)
"""The first layer of AlexNet: 55 × 55 outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One parameter varied, the others as in ``BASE``.

    Attributes:
        parameter: d, n, r or s.
        values: that it takes.
        power: by which energy grows according to the document, 1 or 2; for the stride in x = 1/s.
    """

    parameter: str
    values: tuple[int, ...]
    power: int

    @property
    def symbol(self) -> str:
        """Of the variable that is fitted."""
        return "1/s" if self.parameter == "s" else self.parameter

    def x(self, value: int) -> float:
        """The variable that is fitted."""
        return 1 / value if self.parameter == "s" else float(value)

    def layer(self, value: int) -> Convolution:
        """The layer at one value of the parameter."""
        return replace(BASE, **{self.parameter: value})


SWEEPS = (
    Sweep(parameter="d", values=tuple(range(8, 513, 8)), power=1),
    Sweep(parameter="n", values=tuple(range(56, 449, 8)), power=2),
    Sweep(parameter="r", values=(3, 5, 7, 9, 11), power=2),
    Sweep(parameter="s", values=(1, 2, 3, 4, 5), power=2),
)
"""The layers of the experiment: one parameter varied at a time, with the power of it that the model claims."""
