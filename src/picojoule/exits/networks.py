"""Merkel's networks as PyTorch modules: unpadded 3 × 3 convolutions without pooling, and a classifier at some of them.

Exit *e* classifies what *e* convolutions leave: exit 0 reads the image itself, and an exit *e* alone is the network of
depth L = *e* + 1 (arXiv 2011.08779, §II and Fig. 5).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from picojoule.errors import UsageError
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

SIDE, CHANNELS, CLASSES = 32, 3, 10
DEEPEST, WIDEST = 11, 64
LEVELS = 256
"""Dropout is drawn by the byte: a share of 0.8 is 205/256."""


def one_exit(depth: int, *, width: int = WIDEST, drop: float = 0.8) -> torch.nn.Module:
    """The network of ``depth`` layers: depth − 1 convolutions of ``width`` filters and one classifier.

    Args:
        depth: layers with weights, 1 … 11.
        width: filters of each convolution, 1 … 64.
        drop: share of the classifier's inputs that are dropped in training, 0 … 1.

    Returns:
        A module from images (batch × 3 × 32 × 32) to a list with one tensor of logits (batch × 10).

    Raises:
        UsageError: depth is not in 1 … 11, width not in 1 … 64, or drop not in [0, 1).
    """
    return _network(depth, (depth - 1,), width, drop)


def all_exits(depth: int = 6, *, width: int = WIDEST, drop: float = 0.8) -> torch.nn.Module:
    """The network of ``depth`` layers with a classifier at its input and after every convolution (Fig. 5(b)).

    Args:
        depth: layers with weights on the longest way, and exits, 1 … 11.
        width: filters of each convolution, 1 … 64.
        drop: share of each classifier's inputs that are dropped in training, 0 … 1.

    Returns:
        A module from images (batch × 3 × 32 × 32) to a list of logits (batch × 10), one tensor for each exit.

    Raises:
        UsageError: depth is not in 1 … 11, width not in 1 … 64, or drop not in [0, 1).
    """
    return _network(depth, tuple(range(depth)), width, drop)


def freeze_backbone(network: torch.nn.Module) -> None:
    """Leaves only the classifiers before the last to be trained: phase 2 of individual training.

    Args:
        network: of ``all_exits``; ``requires_grad`` of its other parameters is turned off.
    """
    last = list(network.heads.children())[-1]  # type: ignore[union-attr,operator]
    for parameter in [*network.convs.parameters(), *last.parameters()]:  # type: ignore[union-attr,operator]
        parameter.requires_grad_(False)


def _network(depth: int, exits: tuple[int, ...], width: int, drop: float) -> torch.nn.Module:
    if depth not in range(1, DEEPEST + 1):
        raise UsageError(f"1 … {DEEPEST} layers are possible, got {depth!r}", where="depth")
    if width not in range(1, WIDEST + 1):
        raise UsageError(f"1 … {WIDEST} filters are possible, got {width!r}", where="width")
    if not 0 <= drop < 1:
        raise UsageError(f"the share of inputs that are dropped lies in [0, 1), got {drop!r}", where="drop")
    return _classes()[0](depth, exits, width, drop)


@functools.cache
def _classes() -> tuple[Any, Any, Any]:
    """The classes, made when torch is there: the package itself must load without it."""
    torch = import_torch()
    nn = torch.nn
    whole = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}

    class DroppedLinear(torch.autograd.Function):
        """Dropout and a product in one, where the input is long and the output short.

        ``nn.Dropout`` draws a float for each input and goes over them five times, which takes longer than a
        convolution of this network. This one blanks what is dropped by a bitwise *and* with a mask of no or all bits.
        """

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, mask: Any, scale: float) -> Any:
            masked = (x.view(mask.dtype) & mask).view(x.dtype)
            weight = weight.to(x.dtype)
            ctx.save_for_backward(masked, mask, weight)
            ctx.scale = scale
            return (masked @ weight.t()).float() * scale + bias

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            masked, mask, weight = ctx.saved_tensors
            scaled = (gradient * ctx.scale).to(masked.dtype)
            of_input = None
            if ctx.needs_input_grad[0]:
                of_input = scaled @ weight
                of_input.view(mask.dtype).bitwise_and_(mask)
            return of_input, (scaled.t() @ masked).float(), gradient.sum(0), None, None

    class Masks:
        """Which inputs of the classifiers are kept in one step: each with probability ``kept`` / 256.

        The classifiers share what was drawn, each its first so many: every one of them has its inputs dropped
        independently of one another, which is all that dropout asks for, and the draw costs as much as one layer.
        """

        def __init__(self, count: int, kept: int, device: Any) -> None:
            words = torch.empty((count + 7) // 8, dtype=torch.int64, device=device).random_(-(1 << 63), None)
            self.kept, self.words = kept, words.view(torch.uint8)[:count]
            self.made: dict[Any, Any] = {}

        def of(self, x: Any) -> Any:
            """For a tensor, of its shape; 0 or −1 (all bits) in the whole numbers as wide as its floats."""
            if x.dtype not in self.made:
                mask = torch.empty(len(self.words), dtype=whole[x.dtype], device=x.device)
                self.made[x.dtype] = torch.lt(self.words, self.kept, out=mask).neg_()
            return self.made[x.dtype][: x.numel()].view(x.shape)

    class Exits(nn.Module):
        """Convolutions in a row, and classifiers at some of them. Returns the logits of each, in order."""

        def __init__(self, depth: int, exits: tuple[int, ...], width: int, drop: float) -> None:
            super().__init__()
            self.exits = exits
            self.kept = max(1, round((1 - drop) * LEVELS))
            self.convs = nn.ModuleList(nn.Conv2d(width if i else CHANNELS, width, 3) for i in range(depth - 1))
            self.heads = nn.ModuleDict(
                {str(e): nn.Linear((SIDE - 2 * e) ** 2 * (width if e else CHANNELS), CLASSES) for e in exits}
            )
            for conv in self.convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
            for head in self.heads.values():
                nn.init.xavier_uniform_(head.weight)
                nn.init.zeros_(head.bias)

        def forward(self, x: Any) -> list[Any]:
            logits = []
            masks = None
            if self.training and self.kept < LEVELS:
                longest = max(head.in_features for head in self.heads.values())
                masks = Masks(len(x) * longest, self.kept, x.device)
            for e in range(len(self.convs) + 1):
                if e in self.exits:
                    head = self.heads[str(e)]
                    # In the order in which channels-last tensors lie in memory: no copy.
                    flat = x.permute(0, 2, 3, 1).flatten(1)
                    if masks is None:
                        logits.append(head(flat))
                    else:
                        mask, scale = masks.of(flat), LEVELS / self.kept
                        logits.append(DroppedLinear.apply(flat, head.weight, head.bias, mask, scale))
                if e < len(self.convs):
                    x = nn.functional.relu(self.convs[e](x))
            return logits

    return Exits, DroppedLinear, Masks
