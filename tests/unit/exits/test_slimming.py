"""One network at several widths: shared weights, nested channels, BatchNorms of its own for each width."""

from __future__ import annotations

import pytest
import torch
from support import digit_network
from torch import nn

from picojoule.compress.layers import weighted
from picojoule.errors import ModelError, UsageError
from picojoule.exits.slimming import channels_at, slimmable, train_widths
from picojoule.train import Recipe, predict

QUICK = Recipe(epochs=4, batch=64, peak_rate=4e-3, l2=1e-5, distil=0.3, precision="float32")


@pytest.fixture(scope="module")
def slim():
    module, example = digit_network.with_exits()
    return slimmable(module, example, (0.25, 0.5, 1.0), batches=digit_network.batches())


def test_a_width_runs_the_weights_that_all_share(slim):
    x = torch.randn(5, 1, 8, 8)
    slim.eval()
    with torch.no_grad():
        found = slim(x)
        assert len(found) == 9  # three widths of three exits
        for number in range(3):
            for a, b in zip(found[3 * number : 3 * number + 3], slim.at(number)(x), strict=True):
                torch.testing.assert_close(a, b)
        before = slim.at(0)(x)[-1]
        slim.whole.trunk.head.weight.mul_(2)
        assert not torch.allclose(slim.at(0)(x)[-1], before)
        slim.whole.trunk.head.weight.div_(2)


def test_channels_are_nested_and_those_that_matter_most(slim):
    whole = weighted(slim.at(2))["trunk.stem.0"].weight

    def filters(number):
        mine = weighted(slim.at(number))["trunk.stem.0"].weight
        return {k for k, one in enumerate(whole) if any(torch.equal(one, other) for other in mine)}

    narrow, middle = filters(0), filters(1)
    assert (len(narrow), len(middle), len(whole)) == (4, 8, 16) and narrow < middle
    norms = [n for n in slim.own[0] if isinstance(n, nn.BatchNorm2d)]
    assert {norm.num_features for norm in norms} == {4, 8} and len(norms) == 4


def test_gradients_of_every_width_reach_the_shared_weights(slim):
    slim.train()
    for logits in (slim(torch.randn(4, 1, 8, 8))[2], slim(torch.randn(4, 1, 8, 8))[8]):
        slim.zero_grad()
        logits.square().sum().backward()
        assert slim.whole.trunk.stem[0].weight.grad.abs().sum() > 0
        assert slim.whole.early.weight.grad is None or not slim.whole.early.weight.grad.any()


def test_training_makes_narrow_widths_answer(tmp_path):
    module, example = digit_network.trained(), digit_network.EXAMPLE
    data = digit_network.data()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    narrow, whole = train_widths(module, example, data, folder=tmp_path, widths=(0.5, 1.0), recipe=QUICK)
    accuracy = [(predict(one, data.test, data.normalisation())[-1].argmax(1) == data.test.labels).mean() for one in (narrow, whole)]
    assert accuracy[0] > 0.8 and accuracy[1] > 0.95
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    # From its checkpoint the training goes on where it ended.
    again, _ = train_widths(module, example, data, folder=tmp_path, widths=(0.5, 1.0), recipe=QUICK)
    assert all(torch.equal(a, b) for a, b in zip(narrow.state_dict().values(), again.state_dict().values(), strict=True))


def test_channels_come_in_multiples(slim):
    module, example = digit_network.with_exits()
    assert {kept for kept, _ in channels_at(module, example, 0.3, 4).values()} == {4, 8}
    assert all(kept == every for kept, every in channels_at(module, example, 1.0, 5).values())


@pytest.mark.parametrize(
    ("widths", "more", "message"),
    [
        ((0.5, 0.25, 1.0), {}, "shares above 0 that rise and end with 1, got 0.5, 0.25, 1"),
        ((0.5, 0.75), {}, "rise and end with 1"),
        ((1.0,), {}, "two or more"),
        ((0.5, 0.51, 1.0), {}, "at widths 0.5 and 0.51 every layer has the same channels"),
        ((0.5, 1.0), {"grid": 0}, "multiples of at least 1"),
    ],
)
def test_widths_that_dont_do(widths, more, message):
    module, example = digit_network.with_exits()
    with pytest.raises(UsageError, match=message):
        slimmable(module, example, widths, batches=digit_network.batches(), **more)


def test_networks_that_cant_be_narrowed():
    class Turned(nn.Module):
        """Flattens its map channels last: which weights read which channel can't be told from the shapes."""

        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 8, 3), nn.Linear(6 * 6 * 8, 10)

        def forward(self, x):
            return self.head(self.conv(x).relu().permute(0, 2, 3, 1).flatten(1))

    torch.manual_seed(0)
    with pytest.raises(ModelError, match="isn't the one whose weights for them are 0"):
        slimmable(Turned(), digit_network.EXAMPLE, (0.5, 1.0), batches=digit_network.batches())
    with pytest.raises(ModelError, match="no layer of the network can lose a channel"):
        alone = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        slimmable(alone, digit_network.EXAMPLE, (0.5, 1.0), batches=digit_network.batches())
