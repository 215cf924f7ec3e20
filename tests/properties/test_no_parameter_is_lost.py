"""Random ways from parameters to layers: each that the result depends on counts, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flop_counter import counted
from torch import nn

from picojoule.frontends import load_model

SIZE = 4
Way = Callable[[torch.Tensor], torch.Tensor]

# From a parameter of SIZE × SIZE to a constant of that shape.
WAYS: dict[str, Way] = {
    "as it is": lambda p: p,
    "turned": lambda p: p.T,
    "turned and copied": lambda p: p.T.contiguous(),
    "reshaped": lambda p: p.reshape(-1).view(SIZE, SIZE),
    "in halves": lambda p: torch.cat(p.chunk(2)),
    "rows by indices": lambda p: p[torch.arange(SIZE)],
    "rows of a table": lambda p: F.embedding(torch.arange(SIZE), p),
    "normed": lambda p: p / (1 + p.norm(dim=1, keepdim=True)),
    "a row repeated": lambda p: p[:1].repeat(SIZE, 1) + p.sum(),
    "expanded": lambda p: p[None].expand(2, -1, -1)[0],
    "cast": lambda p: p.double().float(),
    "written": lambda p: _written(p),
    "cast and clipped": lambda p: p.clamp(-1, 1),
}

# How a constant of SIZE × SIZE meets an activation of 2 × SIZE × SIZE.
USES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "a matrix": lambda x, c: F.linear(x, c),
    "on the left": lambda x, c: c @ x,
    "added": lambda x, c: x + c,
    "a factor": lambda x, c: x * c,
    "one value for each channel": lambda x, c: x * c.sum(0) + c[0],
    "beside": lambda x, c: torch.cat([c.expand(2, -1, -1), x], 1)[:, :SIZE] + x,
    "queries": lambda x, c: F.scaled_dot_product_attention(c.expand(2, -1, -1), x, x),
    "keys": lambda x, c: F.scaled_dot_product_attention(x, c.expand(2, -1, -1), x),
    "values": lambda x, c: F.scaled_dot_product_attention(x, x, c.expand(2, -1, -1)),
    "a mask": lambda x, c: F.scaled_dot_product_attention(x, x, x, attn_mask=c),
    "einsum": lambda x, c: torch.einsum("bij,kj->bik", x, c),
    "written into it": lambda x, c: _overwritten(x * 2, c),
    "it is written into": lambda x, c: _overwritten(c.expand(2, -1, -1).clone(), x[0]),
    "halves, one after the other": lambda x, c: torch.cat([F.linear(x, part) for part in c.chunk(2)], -1),
    "halves, the first again": lambda x, c: F.linear(x, c) + F.linear(x, c[:2]).sum(-1, keepdim=True),
}


def _written(p: torch.Tensor) -> torch.Tensor:
    made = torch.zeros(SIZE, SIZE)
    made[:, :2] = p[:, :2]
    made[:, 2:].copy_(p[:, 2:])
    return made


def _overwritten(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    x[:, :2] = c[:2]
    x[:, 2:] += c[2:]
    return x


class Reached(nn.Module):
    """Parameters reach a chain of layers, each one way; some are read by several of them."""

    def __init__(self, steps: list[tuple[int, str, str]]) -> None:
        super().__init__()
        self.steps = steps
        self.parts = nn.ParameterList(torch.rand(SIZE, SIZE) for _ in range(1 + max(which for which, _, _ in steps)))
        self.last = nn.Linear(SIZE, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for which, way, use in self.steps:
            x = USES[use](x, WAYS[way](self.parts[which]))
        return self.last(x)


@st.composite
def networks(draw: Any) -> Reached:
    step = st.tuples(st.integers(0, 2), st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(USES)))
    return Reached(draw(st.lists(step, min_size=1, max_size=4))).eval()


@settings(max_examples=60)
@given(networks())
def test_every_parameter_of_the_result_counts_once(module):
    x = torch.zeros(2, SIZE, SIZE)
    exported = torch.export.export(module, (x,))
    read = {node.name for node in exported.graph.nodes if node.users}
    kind = torch.export.graph_signature.InputKind.PARAMETER
    used = [
        exported.state_dict[spec.target].numel()
        for spec in exported.graph_signature.input_specs
        if spec.kind == kind and spec.arg.name in read
    ]
    assert len(used) == len({which for which, _, _ in module.steps}) + 2  # and those of the last layer
    network = load_model(exported)
    assert network.params == sum(used)
    # No way above multiplies matrices of parameters, which would be worked out beforehand here.
    assert network.macs == counted(module, x)
    assert network.not_costed == ()
    assert network.flow is not None
