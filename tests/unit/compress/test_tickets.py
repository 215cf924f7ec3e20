"""Lottery tickets: what a round keeps, what it goes back to, what its controls are, and that a search goes on where it stopped."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from support import digit_network
from torch import nn

from picojoule.compress import Lottery, prune, reload
from picojoule.compress.layers import weighted
from picojoule.compress.lottery import FROM_SCRATCH
from picojoule.compress.stages import Stages
from picojoule.compress.task import Task, task_of_callables
from picojoule.compress.tickets.masks import WeightTickets
from picojoule.compress.tickets.narrow import ChannelTickets
from picojoule.compress.tickets.search import find, first, shuffled
from picojoule.errors import UsageError
from picojoule.train.checkpoint import load_tensors


def network(seed=0, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 6), nn.ReLU(), nn.Linear(6, classes)
    )


class Trainer:
    """Trains by adding what depends on nothing but the step, and remembers from what; ``breaks`` at that training."""

    def __init__(self, steps=3, breaks=None):
        self.steps, self.breaks, self.began = steps, breaks, []

    def __call__(self, module, *, after_step):
        if len(self.began) == self.breaks:
            raise KeyboardInterrupt
        self.began.append({name: tensor.clone() for name, tensor in module.state_dict().items()})
        for step in range(self.steps):
            draw = torch.Generator().manual_seed(step)
            for parameter in module.parameters():
                parameter.data += torch.randn(parameter.shape, generator=draw)
            after_step(module)

    def task(self) -> Task:
        return task_of_callables(self, lambda module: 0.5, lambda: [torch.zeros(2, 1, 8, 8)])


def searched(folder, trainer, *, rewind=0, least=0.25, each=0.5):
    module, task, stages = network(), trainer.task(), Stages(folder, {})
    untrained = copy.deepcopy(module.state_dict())
    dense, start, _ = first(module, task, stages, rewind)
    ticket = find(
        WeightTickets(dense), dense, start, untrained, task=task, stages=stages, least=least, each=each,
        within=lambda _: False, rewind=rewind, seed=0, note=lambda _: None,
    )  # fmt: skip
    return ticket, untrained, start


def test_a_round_keeps_the_largest_weights_of_the_whole_network_among_those_that_live():
    module = network()
    kind = WeightTickets(module)
    half = kind.fewer(kind.whole(), module, 0.5)
    assert kind.share(half) == pytest.approx(0.5, abs=1e-3)
    kept = torch.cat([layer.weight[half[name]].abs().flatten() for name, layer in weighted(module).items()])
    gone = torch.cat([layer.weight[~half[name]].abs().flatten() for name, layer in weighted(module).items()])
    assert kept.min() >= gone.max()
    # Weights that went are zero in training; nothing but a mask tells them from those that only came to be so.
    trained = copy.deepcopy(module)
    for name, layer in weighted(trained).items():
        layer.weight.data[half[name]] = 0.0
    quarter = kind.fewer(half, trained, 0.25)
    assert kind.share(quarter) == pytest.approx(0.25, abs=1e-3)
    assert all(bool((half[name] | ~mask).all()) for name, mask in quarter.items())


def test_layers_to_keep_stay_whole_and_the_others_make_up_for_it():
    module = network()
    kind = WeightTickets(module, keep=("0",))
    few = kind.fewer(kind.whole(), module, 0.5)
    assert bool(few["0"].all())
    assert kind.share(few) == pytest.approx(0.5, abs=1e-3)


def test_masks_drawn_at_random_have_as_many_in_every_layer_but_others():
    module = network()
    kind = WeightTickets(module)
    mask = kind.fewer(kind.whole(), module, 0.3)
    drawn = kind.at_random(mask, 0)
    assert {name: int(one.sum()) for name, one in drawn.items()} == {name: int(one.sum()) for name, one in mask.items()}
    assert not all(torch.equal(drawn[name], mask[name]) for name in mask)


def test_every_round_begins_with_the_first_weights_and_only_those_kept(tmp_path):
    trainer = Trainer()
    ticket, untrained, _ = searched(tmp_path / "job", trainer)
    masks = [load_tensors(tmp_path / "job" / f"weights-{n}.kept.safetensors")[0] for n in (1, 2)]
    _, *rounds, again, drawn = trainer.began
    for began, mask in zip(rounds, masks, strict=True):
        for name, kept in mask.items():
            assert torch.equal(began[f"{name}.weight"], untrained[f"{name}.weight"] * kept)
            assert torch.equal(began[f"{name}.bias"], untrained[f"{name}.bias"])
    for name, kept in masks[-1].items():
        assert torch.equal((ticket.module.get_submodule(name).weight != 0), kept), "training left the mask"
        # The reinitialised control: the same mask, other weights of the same layer.
        own, other = untrained[f"{name}.weight"], again[f"{name}.weight"]
        assert torch.equal(other != 0, kept)
        assert not torch.equal(other, own * kept)
        assert set(other[kept].tolist()) <= set(own.flatten().tolist())
        # The random control: the first weights, as many.
        mine = drawn[f"{name}.weight"]
        assert int((mine != 0).sum()) == int(kept.sum())
        assert torch.equal(mine, own * (mine != 0))
    assert [(row.what, row.round) for row in ticket.rows] == [
        ("ticket", 1), ("ticket", 2), ("reinitialised", 2), ("random mask", 2),
    ]  # fmt: skip
    assert [row.share for row in ticket.rows] == pytest.approx([0.5, 0.25, 0.25, 0.25], abs=1e-3)


def test_rewinding_to_a_step_goes_back_to_the_weights_after_it(tmp_path):
    trainer = Trainer()
    _, untrained, start = searched(tmp_path / "job", trainer, rewind=2)
    after = copy.deepcopy(untrained)
    module = network()
    Trainer(steps=2)(module, after_step=lambda _: None)
    for name, tensor in module.state_dict().items():
        assert torch.equal(start[name], tensor)
        assert not torch.equal(start[name], after[name])
    mask = load_tensors(tmp_path / "job" / "weights-1.kept.safetensors")[0]
    assert torch.equal(trainer.began[1]["0.weight"], start["0.weight"] * mask["0"])
    # Other first weights have no such step behind them.
    assert set(trainer.began[-2]["0.bias"].tolist()) == set(untrained["0.bias"].tolist())
    with pytest.raises(UsageError, match="there is no step 9"):
        searched(tmp_path / "late", Trainer(), rewind=9)


@pytest.mark.parametrize("breaks", range(5))
def test_what_was_broken_off_goes_on_and_ends_alike(tmp_path, breaks):
    whole, *_ = searched(tmp_path / "whole", Trainer())
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "broken", Trainer(breaks=breaks))
    rest = Trainer()
    again, *_ = searched(tmp_path / "broken", rest)
    assert len(rest.began) == 5 - breaks, "what was whole is not trained again"
    assert all(torch.equal(a, b) for a, b in zip(whole.module.parameters(), again.module.parameters(), strict=True))
    assert whole.rows == again.rows


def test_weights_in_another_order_are_the_same_weights():
    before = network().state_dict()
    after = shuffled(before, 1)
    for name, tensor in before.items():
        assert not torch.equal(tensor, after[name])
        assert sorted(tensor.flatten().tolist()) == sorted(after[name].flatten().tolist())
    assert all(torch.equal(after[name], again) for name, again in shuffled(before, 1).items())
    norm = nn.BatchNorm2d(4).state_dict()
    assert all(torch.equal(norm[name], one) for name, one in shuffled(norm, 1).items())


def test_tickets_of_channels_lie_on_the_grid_and_keep_the_largest_filters():
    pytest.importorskip("torch_pruning")
    module = digit_network.DigitNetwork()
    weight = module.down[0].weight.data
    weight[:12] *= 0.01
    kind = ChannelTickets(module, digit_network.EXAMPLE, 8, keep=("stem.0", "block.conv2"))
    whole = kind.whole()
    assert set(whole) == {"block.conv1", "down.0"}
    one_less = kind.fewer(whole, module, 0.999)
    assert {root: len(left) for root, left in one_less.items()} == {"block.conv1": 16, "down.0": 24}
    assert not set(range(8)) <= set(one_less["down.0"].tolist())
    least = kind.fewer(whole, module, 0.0)
    assert {root: len(left) for root, left in least.items()} == {"block.conv1": 8, "down.0": 8}
    assert min(least["down.0"].tolist()) >= 12
    narrow, hold = kind.applied(least, module.state_dict())
    assert hold is None
    assert narrow.down[0].weight.shape[0] == 8
    assert torch.equal(narrow.down[0].weight, module.down[0].weight[least["down.0"]])
    assert kind.share(least) == sum(w.weight.numel() for w in weighted(narrow).values()) / sum(
        w.weight.numel() for w in weighted(module).values()
    )
    drawn = kind.at_random(least, 0)
    assert {root: len(left) for root, left in drawn.items()} == {"block.conv1": 8, "down.0": 8}
    assert drawn["down.0"].tolist() != least["down.0"].tolist()


def test_tickets_of_the_digits_from_end_to_end(tmp_path):
    """One epoch each: accuracies mean little, what is kept and told does."""
    pytest.importorskip("torch_pruning")

    def drawn(model):
        return prune(
            model, digit_network.EXAMPLE, hardware="eyeriss-methodology", budget="40%", criterion="lottery", grid=2, data="digits",
            recipe=replace(FROM_SCRATCH, epochs=1, batch=64, augment=False, precision="float32", peak_rate=5e-3),
            lottery=Lottery(each_round=0.6, beside=("eyeriss-like-45nm",)), output=tmp_path / "job",
        )  # fmt: skip

    result = drawn(network(classes=10))
    assert result.met and result.used <= result.limit == 0.4 * result.before.weights
    assert result.after.weights == result.used
    told = result.tickets
    assert told["handed_over"] == "weights"
    skipping, other = told["energies"]
    assert (skipping["machine"], skipping["minds_zeros"]) == ("eyeriss-methodology", True)
    assert (other["machine"], other["minds_zeros"]) == ("eyeriss-like-45nm", False)
    assert other["energy"]["weights"] == other["energy"]["dense"], "zeros save nothing there"
    assert other["energy"]["channels"] < other["energy"]["dense"]
    assert skipping["energy"]["weights"] < skipping["energy"]["dense"]
    assert skipping["energy"]["dense"] == result.before.energy
    assert set(told["milliseconds"]) == {"weights", "channels"}
    again = reload(network(classes=10), digit_network.EXAMPLE, folder=tmp_path / "job")
    mask = load_tensors(tmp_path / "job" / result.files["weights, kept"])[0]
    assert all(torch.equal(weighted(again)[name].weight != 0, kept) for name, kept in mask.items())
    assert drawn(network(classes=10)) == result


def test_what_tickets_can_not_be_asked_for_is_refused(tmp_path):
    def ask(**other):
        arguments = {"hardware": "eyeriss-v2", "budget": "20%", "criterion": "lottery", "data": "digits", "output": tmp_path / "job"}
        return prune(*digit_network.untrained(), **arguments | other)

    for given, message in (
        ({"recipe": replace(FROM_SCRATCH, distil=0.5)}, "no trained network to learn from"),
        ({"budget": None, "lose": 1.0}, "not until accuracy falls"),
        ({"of": "macs"}, "zeros in weights change no macs on eyeriss-v2"),
        ({"of": "energy", "hardware": "eyeriss-like-45nm"}, "zeros in weights change no energy"),
        ({"classes": "1,2"}, "no classes to choose from yet"),
        ({"criterion": "energy", "lottery": Lottery()}, "that is for tickets"),
    ):
        with pytest.raises(UsageError, match=message):
            ask(**given)
    for given, message in (
        ({"rewind": -1}, "a step from 0"),
        ({"each_round": 1.0}, "between 0 and 1"),
        ({"kinds": ("wheights",)}, "unknown kind of ticket"),
        ({"kinds": ()}, "no kind of ticket"),
    ):
        with pytest.raises(UsageError, match=message):
            Lottery(**given)
