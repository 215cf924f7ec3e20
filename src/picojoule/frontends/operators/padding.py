"""Padding in ONNX: the ``pads`` and ``auto_pad`` of a window, and Pad operators that a window swallows."""

from __future__ import annotations

from picojoule.errors import ModelError, nearest
from picojoule.frontends.graph import Graph, Node, Shape

_WINDOWS = frozenset(("Conv", "MaxPool", "AveragePool"))
_AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def window_padding(
    node: Node, sizes: Shape, taps: Shape, stride: Shape, dilation: Shape, extra: tuple[Shape, Shape]
) -> tuple[Shape, Shape]:
    """Padding before and after each axis of the window of ``node``.

    Args:
        node: a convolution or pool.
        sizes: of the input along each axis, before any padding.
        taps: of the window.
        stride: of the window.
        dilation: of the window.
        extra: padding that a Pad operator in front adds already, as `foldable_pad` gives it.
    """
    axes = len(sizes)
    before, after = (values or (0,) * axes for values in extra)
    mode = node.text("auto_pad", "NOTSET") or "NOTSET"
    if mode not in _AUTO_PADS:
        raise ModelError(f"auto_pad is {mode!r}", where=node.place, hint=nearest(mode, _AUTO_PADS))
    if mode == "NOTSET":
        pads = node.integers("pads", 2 * axes, 0, least=0)
        own = tuple((pads[axis], pads[axis + axes]) for axis in range(axes))
    elif mode == "VALID":
        own = ((0, 0),) * axes
    else:
        padded = tuple(size + b + a for size, b, a in zip(sizes, before, after, strict=True))
        own = tuple(
            _same(*axis, upper=mode == "SAME_UPPER") for axis in zip(padded, taps, stride, dilation, strict=True)
        )
    leading = tuple(b + pair[0] for b, pair in zip(before, own, strict=True))
    trailing = tuple(a + pair[1] for a, pair in zip(after, own, strict=True))
    return leading, trailing


def foldable_pad(graph: Graph, node: Node, tensor: str | None = None) -> tuple[str, tuple[Shape, Shape]]:
    """What ``node`` really reads where ``tensor`` (default: its first input) comes out of a Pad.

    A Pad vanishes if it adds zeros that only ``node`` reads, and ``node`` is a window padded along its spatial
    axes or an addition, for which zeros are nothing to read.

    Returns:
        The tensor before the Pad and the padding (before, after) of its spatial axes; or
        ``tensor`` itself and a pair of empty tuples.
    """
    tensor = node.given(0) if tensor is None else tensor
    nothing: tuple[Shape, Shape] = ((), ())
    maker = graph.producers.get(tensor)
    if maker is None or maker.op != "Pad" or tensor in graph.outputs or node.inputs.count(tensor) > 1:
        return tensor, nothing
    padding = declared_padding(graph, maker)
    if padding is None or min(padding, default=0) < 0 or graph.consumers.get(tensor) != (node,):
        return tensor, nothing
    if maker.text("mode", "constant") != "constant" or not _adds_zeros(graph, maker):
        return tensor, nothing
    rank = len(padding) // 2
    before, after = padding[:rank], padding[rank:]
    if node.op == "Add" and len(graph.activations(node)) > 1:
        return maker.given(0), nothing
    if node.op in _WINDOWS and rank > 2 and not any(before[:2] + after[:2]) and tensor == node.given(0):
        return maker.given(0), (before[2:], after[2:])
    return tensor, nothing


def declared_padding(graph: Graph, pad: Node) -> Shape | None:
    """Padding of a Pad operator before all axes, then after all axes; None if it is computed at run time."""
    shape = graph.shapes.get(pad.given(0))
    pads = graph.whole_numbers(pad, 1, "pads")
    if shape is None or pads is None:
        return None
    rank = len(shape)
    axes = graph.whole_numbers(pad, 3, "axes") if pad.given(3) else list(range(rank))
    if axes is None or len(pads) != 2 * len(axes) or any(not -rank <= axis < rank for axis in axes):
        return None
    padding = [0] * (2 * rank)
    for index, axis in enumerate(axes):
        padding[axis % rank] = pads[index]
        padding[axis % rank + rank] = pads[index + len(axes)]
    return tuple(padding)


def _adds_zeros(graph: Graph, pad: Node) -> bool:
    if pad.given(2):
        value = graph.values.get(pad.given(2))
        return value is not None and not value.any()
    return not pad.has("value") or pad.attributes["value"].value == 0.0


def _same(size: int, taps: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    """Padding so that the output has size ÷ stride positions, rounded up; the odd one goes to the end if ``upper``."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (taps - 1) * dilation + 1 - size)
    less, more = total // 2, total - total // 2
    return (less, more) if upper else (more, less)
