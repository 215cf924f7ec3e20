"""The networks as modules: their parameters, their dropout, and the trainings that combine them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.torch_maps import merkel

from picojoule.errors import UsageError
from picojoule.exits import all_exits, freeze_backbone, one_exit, train_combined, train_individual, train_one
from picojoule.exits.networks import _classes
from picojoule.exits.training import halve_weights
from picojoule.train import Images, Recipe, Splits, load_tensors

RECIPE = Recipe(epochs=1, batch=8, precision="float32")


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_the_document_s():
    assert sum(count(one_exit(depth)) for depth in range(1, 7)) == 2_597_820
    assert count(all_exits(6)) == 2_369_084


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_an_exit_computes_what_a_plain_module_computes(depth):
    net, plain = one_exit(depth).eval(), merkel(depth)
    side, channels = 32 - 2 * (depth - 1), 64 if depth > 1 else 3
    for ours, theirs in zip(net.convs, [m for m in plain if isinstance(m, torch.nn.Conv2d)], strict=True):
        theirs.load_state_dict(ours.state_dict())
    head = net.heads[str(depth - 1)]
    # Ours are in the order rows × columns × channels.
    weight = head.weight.view(10, side, side, channels).permute(0, 3, 1, 2).reshape(10, -1)
    plain[-1].load_state_dict({"weight": weight, "bias": head.bias})
    x = torch.randn(2, 3, 32, 32)
    (found,) = net(x)
    torch.testing.assert_close(found, plain(x), rtol=1e-4, atol=1e-4)


def test_the_last_exit_of_all_is_the_network_alone():
    every, alone = all_exits(3).eval(), one_exit(3).eval()
    alone.load_state_dict({name: every.state_dict()[name] for name in alone.state_dict()})
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(every(x)[-1], alone(x)[0])
    assert [logits.shape for logits in every(x)] == [(2, 10)] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_has_the_gradients_of_plain_dropout(dtype):
    _, dropped, masks = _classes()
    torch.manual_seed(3)
    x, scale = torch.randn(6, 40, dtype=dtype), 256 / 51
    mask = masks(240, 51, x.device).of(x)
    assert set(mask.flatten().tolist()) == {0, -1}
    ours = [x.clone().requires_grad_(), torch.randn(10, 40).requires_grad_(), torch.randn(10).requires_grad_()]
    plain = [ours[0].detach().float().requires_grad_(), *(t.detach().clone().requires_grad_() for t in ours[1:])]
    found = dropped.apply(*ours, mask, scale)
    expected = torch.nn.functional.linear(plain[0] * (mask != 0) * scale, plain[1], plain[2])
    toward = torch.randn(6, 10)
    found.backward(toward)
    expected.backward(toward)
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype is torch.float32 else {"rtol": 2e-2, "atol": 0.3}
    torch.testing.assert_close(found, expected, **near)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one.grad.float(), other.grad, **near)


@pytest.mark.parametrize("kept", [51, 205])
def test_the_share_that_is_kept(kept):
    torch.manual_seed(0)
    size, runs, share = 500, 40, kept / 256
    masks = _classes()[2]
    drawn = torch.stack([masks(size, kept, torch.device("cpu")).of(torch.ones(size)) for _ in range(runs)]) != 0
    deviation = np.sqrt(share * (1 - share))
    assert drawn.float().mean().item() == pytest.approx(share, abs=4 * deviation / np.sqrt(size * runs))
    # No place is favoured, and neighbours are independent.
    assert drawn.float().sum(0).std().item() == pytest.approx(np.sqrt(runs) * deviation, rel=0.15)
    both = (drawn[:, 1:] & drawn[:, :-1]).float().mean().item()
    assert both == pytest.approx(share**2, abs=4 * share / np.sqrt(size * runs))


def test_training_drops_the_share_that_was_asked_for():
    """The mean of many passes is the pass without dropout; the spread is that of the share."""
    net, x = one_exit(1, drop=0.8), torch.randn(1, 3, 32, 32)
    torch.manual_seed(0)
    with torch.no_grad():
        passes = torch.stack([net.train()(x)[0][0] for _ in range(400)])
        terms = net.heads["0"].weight * x.permute(0, 2, 3, 1).flatten(1)
        spread = ((256 / 51 - 1) * (terms**2).sum(1)).sqrt()
        assert passes.std(0).numpy() == pytest.approx(spread.numpy(), rel=0.15)
        off = (passes.mean(0) - net.eval()(x)[0][0]).abs() / spread * 20
    assert float(off.max()) < 4


def test_nothing_is_dropped_outside_training():
    net, x = all_exits(2), torch.randn(3, 3, 32, 32)
    net.eval()
    assert all(torch.equal(a, b) for a, b in zip(net(x), net(x), strict=True))
    net.train()
    assert not torch.equal(net(x)[0], net(x)[0])


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"depth": 0}, "depth"),
        ({"depth": 12}, "depth"),
        ({"width": 65}, "width"),
        ({"drop": 1.0}, "drop"),
        ({"drop": -0.1}, "drop"),
    ],
)
def test_networks_out_of_range_are_refused(given, where):
    with pytest.raises(UsageError) as caught:
        one_exit(**{"depth": 2, **given})
    assert caught.value.where == where


def test_freezing_leaves_the_heads_before_the_last():
    net = all_exits(3)
    freeze_backbone(net)
    assert {name for name, p in net.named_parameters() if p.requires_grad} == {
        "heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias",
    }  # fmt: skip


@pytest.fixture(scope="module")
def few() -> Splits:
    rng = np.random.default_rng(0)
    images = Images(pixels=rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8), labels=rng.integers(0, 10, 24))
    return Splits(train=images.part(0, 16), choose=images.part(16, 20), test=images.part(20, 24))


def test_individual_training_keeps_the_backbone(few, tmp_path):
    alone = train_one(2, few, RECIPE, folder=tmp_path / "L2", note=lambda _: None)
    both = train_individual(
        tmp_path / "L2" / "best.safetensors", few, RECIPE, folder=tmp_path / "ind", depth=2, note=lambda _: None
    )
    for name, tensor in alone.state_dict().items():
        assert torch.equal(both.state_dict()[name], tensor)


def test_combined_training_moves_every_part(few, tmp_path):
    net = train_combined(few, RECIPE, folder=tmp_path, depth=2, note=lambda _: None)
    torch.manual_seed(int(np.random.SeedSequence([RECIPE.seed]).generate_state(1)[0]))
    first = all_exits(2)
    assert all(not torch.equal(a, b) for a, b in zip(net.parameters(), first.parameters(), strict=True))
    assert load_tensors(tmp_path / "best.safetensors")[1]["recipe"]["epochs"] == 1


def test_published_weights_are_the_measured_ones():
    net = one_exit(1)
    halves = halve_weights(net)
    assert all(t.dtype == torch.float16 and torch.equal(t.float(), net.state_dict()[n]) for n, t in halves.items())
