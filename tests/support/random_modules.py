"""Random PyTorch modules: a chain of steps over a tensor, with branches, drawn so that the shapes fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

Step = tuple[nn.Module | None, Callable[[nn.Module | None, torch.Tensor], torch.Tensor]]


class Steps(nn.Module):
    """Runs its steps one after the other; each may own a module."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.functions = [function for _, function in steps]
        self.parts = nn.ModuleList([module or nn.Identity() for module, _ in steps])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part, function in zip(self.parts, self.functions, strict=True):
            x = function(part, x)
        return x


def run(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return part(x)


def run_twice(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return part(part(x)) + x


def first_of(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return part(x)[0]


def attend(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(x, x, x)


def grouped(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Four heads of queries share one of keys and values."""
    queries = x.unsqueeze(1).expand(x.shape[0], 4, *x.shape[1:])
    return F.scaled_dot_product_attention(queries, x.unsqueeze(1), x.unsqueeze(1), is_causal=True, enable_gqa=True).sum(
        1
    )


def scores(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return (x @ x.transpose(1, 2)).softmax(-1) @ x


def contract(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bij,bkj->bik", x, x.relu())


def outer(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bic,bjd->bijcd", x, x).sum((3, 4))


def gate(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(part(x))


def branch(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([part(x), x], 1)


def halves(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, 1)
    return left + right if left.shape == right.shape else x


@st.composite
def windows(draw: Any, shape: torch.Size) -> Step:
    """A convolution, transposed or not, over as many axes as there are; or a pool, a norm, a branch."""
    channels, axes = shape[1], len(shape) - 2
    kernel, stride, dilation = (draw(st.integers(1, top)) for top in (3, 3, 2))
    pad = draw(st.integers(0, 2))
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    outputs = groups * draw(st.integers(1, 3))
    bias = draw(st.booleans())
    least = min(shape[2:]) + 2 * pad
    conv, turned = (nn.Conv1d, nn.ConvTranspose1d) if axes == 1 else (nn.Conv2d, nn.ConvTranspose2d)
    choices: list[Step] = [
        (
            turned(
                channels, outputs, kernel, stride, min(pad, kernel - 1), groups=groups, bias=bias, dilation=dilation
            ),
            run,
        ),
        ((nn.BatchNorm1d if axes == 1 else nn.BatchNorm2d)(channels), run),
        (nn.GroupNorm(1, channels), run),
        (nn.ReLU(inplace=True), run),
        *([(None, halves)] if channels > 1 else []),
        (conv(channels, channels, 1), branch),
        (conv(channels, channels, 1), run_twice),
        (conv(channels, channels, 1), gate),
    ]
    if least >= (kernel - 1) * dilation + 1:
        choices.append((conv(channels, outputs, kernel, stride, pad, dilation, groups, bias), run))
        choices.append((conv(channels, outputs, kernel, padding="same", dilation=dilation), run))
    if min(shape[2:]) >= 2:
        choices.append(((nn.MaxPool1d if axes == 1 else nn.MaxPool2d)(2, stride, 1, ceil_mode=bias), run))
    return draw(st.sampled_from(choices))


@st.composite
def sequences(draw: Any, shape: torch.Size) -> Step:
    """A step over batch × length × size."""
    size, width = shape[2], draw(st.integers(1, 6))
    layers, both, bias = draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans())
    choices: list[Step] = [
        (nn.Linear(size, width, bias=bias), run),
        (nn.Linear(size, size), run_twice),
        (nn.Linear(size, size), gate),
        (nn.LSTM(size, width, layers, bias=bias, batch_first=True, bidirectional=both), first_of),
        (nn.LSTM(size, 4, layers, batch_first=True, proj_size=2), first_of),
        (nn.GRU(size, width, layers, bias=bias, bidirectional=both), first_of),
        (nn.RNN(size, width, batch_first=True), first_of),
        (nn.LayerNorm(size), run),
        (None, attend),
        (None, grouped),
        (None, scores),
        (None, contract),
        (None, outer),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def modules(draw: Any) -> tuple[nn.Module, torch.Tensor]:
    """A module in inference mode and an input for it."""
    images = draw(st.booleans())
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(3, 8))]
    if images and draw(st.booleans()):
        shape.append(draw(st.integers(3, 8)))
    example = x = torch.zeros(shape)
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 5))):
        step = draw(windows(x.shape) if images else sequences(x.shape))
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # PyTorch tells which of its kernels it takes
            result = step[1](step[0].eval() if step[0] is not None else None, x)
        if result.numel() > 20_000:
            break
        steps.append(step)
        x = result
    if images and draw(st.booleans()):
        steps.append((nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3)), run))
    return Steps(steps).eval(), example
