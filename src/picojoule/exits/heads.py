"""Classifiers for exits: a few convolutions, a pool and one matrix, in sizes from nothing but the matrix upwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import ModelError
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

_STRIDES = ((2,), (2, 2), (2, 1, 2), (2, 1, 2, 1))
"""Of the convolutions of a head, by their number."""

_WIDTHS = (0.25, 0.5, 1.0, 2.0)
"""Channels of the first convolution over those that it reads; behind each later stride they double."""

_SMALLEST = 8
"""Rows and columns from which on a convolution takes every second, and the unit of channels."""

_CELLS = (1, 2, 4)
"""Rows and columns of means that a matrix alone reads of a map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A classifier.

    Attributes:
        convs: of its 3 × 3 convolutions, channels and stride of each; BatchNorm and ReLU follow.
        cells: rows and columns of means that its matrix reads of every channel.
        macs: of one sample.
    """

    convs: tuple[tuple[int, int], ...]
    cells: int
    macs: int

    @property
    def shown(self) -> str:
        """In words: ``conv 32/2, conv 64/2, linear``."""
        pool = [f"mean {self.cells} × {self.cells}"] if self.cells > 1 else []
        return ", ".join([*(f"conv {width}/{stride}" for width, stride in self.convs), *pool, "linear"])


def head_of(shape: Sequence[int], convs: Sequence[Sequence[int]], classes: int, *, cells: int = 1) -> Head:
    """The head with those convolutions.

    Args:
        shape: of what it reads, without the batch: channels × rows × columns, or features.
        convs: channels and stride of each convolution.
        classes: that it tells apart.
        cells: rows and columns of means that its matrix reads.
    """
    if len(shape) == 1:
        return Head(convs=(), cells=1, macs=shape[0] * classes)
    channels, rows, columns = shape
    macs = 0
    for width, stride in convs:
        rows, columns = -(-rows // stride), -(-columns // stride)
        macs += 9 * channels * width * rows * columns
        channels = width
    return Head(
        convs=tuple((int(width), int(stride)) for width, stride in convs), cells=cells, macs=macs + channels * cells**2 * classes
    )


def heads_for(shape: Sequence[int], classes: int) -> list[Head]:
    """Heads of all sizes for a tensor, fewest MACs first; none where none fits its shape.

    Args:
        shape: without the batch: channels × rows × columns, or features.
        classes: that they tell apart.

    Example:
        >>> [head.shown for head in heads_for((16, 8, 8), 10)][:4]
        ['linear', 'mean 2 × 2, linear', 'mean 4 × 4, linear', 'conv 8/2, linear']
    """
    if len(shape) == 1:
        return [head_of(shape, (), classes)]
    if len(shape) != 3:
        return []
    found = {
        head_of(shape, (), classes, cells=cells)
        for cells in _CELLS
        if cells == 1 or all(side % cells == 0 and side > cells for side in shape[1:])
    }
    for strides in _STRIDES:
        for share in _WIDTHS:
            width, side = max(_SMALLEST, round(shape[0] * share / _SMALLEST) * _SMALLEST), min(shape[1:])
            convs = []
            for index, stride in enumerate(strides):
                own = stride if side >= _SMALLEST else 1
                if index and stride == 2:
                    width *= 2
                side = -(-side // own)
                convs.append((width, own))
            found.add(head_of(shape, convs, classes))
    return sorted(found, key=lambda head: (head.macs, len(head.convs)))


def make_head(head: Head, shape: Sequence[int], classes: int) -> torch.nn.Module:
    """The module, its weights drawn by PyTorch's default generator.

    Args:
        head: its size.
        shape: of what it reads, without the batch.
        classes: that it tells apart.

    Raises:
        ModelError: no head reads tensors of that shape.
    """
    nn: Any = import_torch().nn
    if len(shape) not in (1, 3):
        raise ModelError(
            f"an exit reads channels × rows × columns, or features; here {list(shape)} crosses",
            hint="Name a place where maps or features cross.",
        )
    channels, parts = shape[0], []
    for width, stride in head.convs:
        parts += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    if len(shape) == 3:
        sides = [side // head.cells for side in shape[1:]]
        parts += [nn.AvgPool2d(sides) if head.cells > 1 else nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(channels * head.cells**2, classes))  # type: ignore[no-any-return]
