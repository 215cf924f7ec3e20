"""MACs of Merkel's networks by equations (3)–(5); ``workload.builtin.merkel`` counts them from nests."""

from __future__ import annotations

from picojoule.errors import UsageError

_SIDE, _CHANNELS, _CLASSES, _FILTER = 32, 3, 10, 3


def conv_macs(width: int, height: int, filter_width: int, filter_height: int, channels: int, filters: int) -> int:
    """Eq. (3): an unpadded convolution of stride 1 over an input of width × height × channels."""
    return (width - filter_width + 1) * (height - filter_height + 1) * channels * filter_width * filter_height * filters


def fc_macs(inputs: int, outputs: int) -> int:
    """Eq. (4): a fully connected layer."""
    return inputs * outputs


def depth_macs(depth: int, width: int = 64) -> int:
    """The sum of eq. (5): depth − 1 convolutions of ``width`` filters and one classifier.

    Args:
        depth: layers with weights, 1 … 11.
        width: filters of each convolution.

    Returns:
        MACs of one inference.

    Raises:
        UsageError: no such depth.

    >>> depth_macs(6)
    94762240
    """
    _check_depth(depth)
    return backbone_macs(depth - 1, width) + exit_macs(depth - 1, width)


def backbone_macs(convolutions: int, width: int = 64) -> int:
    """The first so many convolutions."""
    if not 0 <= convolutions <= 10 or width < 1:
        raise UsageError(f"0 … 10 convolutions of 1 filter or more, got {convolutions} of {width}", where="depth")
    total = 0
    for index in range(convolutions):
        side = _SIDE - 2 * index
        total += conv_macs(side, side, _FILTER, _FILTER, width if index else _CHANNELS, width)
    return total


def exit_macs(convolutions: int, width: int = 64) -> int:
    """The classifier on what so many convolutions leave."""
    side = _SIDE - 2 * convolutions
    return fc_macs(side * side * (width if convolutions else _CHANNELS), _CLASSES)


def exit_energies(depth: int = 6, *, heads_passed: bool) -> list[int]:
    """MACs until each exit of the network with ``depth`` exits has answered.

    Args:
        depth: exits.
        heads_passed: charge the classifiers that are asked on the way, not only the last.

    Raises:
        UsageError: no such depth.

    >>> exit_energies(2, heads_passed=True)
    [30720, 2161920]
    """
    _check_depth(depth)
    heads = [exit_macs(e) for e in range(depth)]
    return [backbone_macs(e) + (sum(heads[: e + 1]) if heads_passed else heads[e]) for e in range(depth)]


def _check_depth(depth: int) -> None:
    if depth not in range(1, 12):
        raise UsageError(f"1 … 11 layers are possible, got {depth!r}", where="depth")
