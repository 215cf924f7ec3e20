"""BatchNorm's statistics taken anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from picojoule.compress.batchnorm import reestimate


def test_statistics_are_means_over_the_batches():
    batches = [torch.randn(32, 3, 4, 4, generator=torch.Generator().manual_seed(i)) * (i + 1) + i for i in range(3)]
    norm = nn.BatchNorm2d(3, momentum=0.3)
    norm(torch.full((2, 3, 4, 4), 9.0))
    module = nn.Sequential(norm, nn.Dropout(0.5)).eval()
    reestimate(module, batches)
    means = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    variances = torch.stack([b.transpose(0, 1).flatten(1).var(1) for b in batches]).mean(0)
    assert norm.running_mean.tolist() == pytest.approx(means.tolist(), abs=1e-5)
    assert norm.running_var.tolist() == pytest.approx(variances.tolist(), rel=1e-5)
    assert norm.momentum == 0.3
    assert not norm.training


def test_a_network_without_batchnorm_is_not_called():
    class Fussy(nn.Module):
        def forward(self, x):
            raise AssertionError

    reestimate(Fussy(), [torch.zeros(1)])
