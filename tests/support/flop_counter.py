"""MACs of a PyTorch module as PyTorch's own counter has them."""

from __future__ import annotations

import contextlib
import copy
import warnings

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def counted(module: nn.Module, *example: torch.Tensor) -> int:
    """MACs as PyTorch counts them while it runs ``module``, which stays as it is.

    Its counter doesn't know the fused kernels that a CPU has for attention and recurrent layers: they are switched off,
    so that the products in them are counted one by one.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        counter = stack.enter_context(FlopCounterMode(display=False))
        copy.deepcopy(module)(*(tensor.clone() for tensor in example))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2
