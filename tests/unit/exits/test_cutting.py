"""Where networks can be cut, and exits on them: what the network itself answers stays, to the bit."""

from __future__ import annotations

import re

import pytest
import torch
from support import prunable_networks
from support.digit_network import EXAMPLE as DIGIT
from support.digit_network import DigitNetwork
from torch import nn

from picojoule.errors import ModelError, UnknownNameError, UsageError
from picojoule.exits.cutting import cuttable
from picojoule.exits.heads import heads_for
from picojoule.exits.network_with_exits import NewExit, for_training, holder, with_exits
from picojoule.train.loop import few_steps
from picojoule.train.recipe import Recipe

IMAGES = torch.zeros(1, 3, 8, 8)


class Row(nn.Module):
    """Layers in a row; its size is read first and used last, and activations work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.drop, self.exits = nn.Dropout(0.5), nn.Linear(8 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch = x.shape[0]
        return self.exits(self.drop(self.features(x)).reshape(batch, -1))


class PreActivated(nn.Module):
    """A block whose activation would overwrite what an exit before it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu, self.conv = nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(self.relu(self.stem(x))).mean((2, 3)))


class Same(nn.Module):
    """A convolution that pads by the size of what it reads, which can't be recorded: it is one layer."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv, self.stride = nn.Conv2d(channels, filters, 3, stride), stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        over = x.shape[2] % self.stride
        if over == 0:
            over = self.stride
        return self.conv(nn.functional.pad(x, (0, 3 - over, 0, 3 - over)))


class Padded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(Same(3, 8, 2), nn.ReLU())
        self.second, self.head = Same(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.head((x + self.second(x)).mean((2, 3)))


class Dense(nn.Module):
    """Everything is handed on to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(19, 8, 1)
        self.left, self.right = nn.Conv2d(19, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.a(x)
        b = self.b(a)
        c = self.c(torch.cat([x, a, b], 1))
        return (self.left(torch.cat([x, a, b], 1)) + self.right(c)).mean((2, 3))


class Flow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if x.mean() > 0:
            x = 2 * x
        return self.head(x.mean((2, 3)))


def returning(change):
    class Returns(DigitNetwork):
        def forward(self, x):
            return change(super().forward(x))

    return Returns()


NETWORKS = {
    "row": (Row, IMAGES, ["features.0", "features"]),
    "residual": (DigitNetwork, DIGIT, ["stem", "block", "down"]),
    "depthwise": (prunable_networks.Depthwise, IMAGES, ["expand", "depthwise"]),
    "a layer twice": (prunable_networks.Shared, IMAGES, ["first", "again", "again (2)"]),
    "branches": (prunable_networks.Concatenated, IMAGES, ["right", "fire"]),
    "by sizes": (Padded, IMAGES, ["first", "second"]),
    "in place": (PreActivated, IMAGES, ["stem", "conv"]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_places_lie_between_blocks_and_an_exit_changes_no_answer(name):
    make, example, places = NETWORKS[name]
    torch.manual_seed(0)
    module = make().eval()
    cut = cuttable(module, example)
    assert [place.name for place in cut.places] == places
    exits = [NewExit(place=place, head=heads_for(place.shape, cut.classes)[-1]) for place in cut.places]
    network = with_exits(cut, exits)
    x = torch.randn(3, *example.shape[1:])
    with torch.no_grad():
        answers = network(x)
        assert torch.equal(answers[-1], module(x))
    assert [tuple(one.shape) for one in answers] == [(3, cut.classes)] * (len(places) + 1)
    assert set(module.state_dict()) <= set(network.state_dict())


@pytest.mark.parametrize("backbone", [False, True])
def test_a_frozen_backbone_stays_to_the_bit(backbone):
    torch.manual_seed(0)
    module = DigitNetwork().eval()
    cut = cuttable(module, DIGIT)
    exits = [NewExit(place=cut.places[0], head=heads_for(cut.places[0].shape, 10)[-1])]
    rng = torch.Generator().manual_seed(0)
    batches = [(torch.randint(0, 256, (32, 8, 8, 1), generator=rng, dtype=torch.uint8).numpy(), torch.arange(32).numpy() % 10)] * 2
    normal = (torch.tensor([100.0]).numpy(), torch.tensor([50.0]).numpy())
    for distil in (0.0, 0.5):
        network = with_exits(cut, exits)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        training, teacher = for_training(network, holder(cut.traced), backbone=backbone, taught=distil > 0)
        few_steps(training, batches, Recipe(distil=distil, precision="float32"), normalisation=normal, teacher=teacher)
        moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
        assert {name for name in moved if name.startswith("exits.")}
        assert bool({name for name in moved if not name.startswith("exits.")}) == backbone
        assert "block.bn1.running_mean" not in moved or backbone
        # Without a teacher the layers behind the last new exit needn't run.
        assert len(training(torch.zeros(2, 1, 8, 8))) == (2 if backbone or distil else 1)


def test_a_module_of_the_networks_own_keeps_its_name():
    torch.manual_seed(0)
    assert holder(cuttable(Row(), IMAGES).traced) == "exits_added"


@pytest.mark.parametrize(
    ("names", "kind", "message", "hint"),
    [
        (["block.conv1"], ModelError, "can't be cut after 'block.conv1', where 2 tensors cross: stem_2 and block_conv1", "after 'block'"),
        (["head"], UsageError, "behind 'head' there is no layer left", "Places: stem, block, down"),
        (["blok"], UnknownNameError, "no layer 'blok'", "Did you mean 'block'?"),
        (["block", "block.relu (2)"], UsageError, "named already: block", ""),
        ([], UsageError, "no place is named", "Places: stem"),
    ],
)
def test_a_name_that_is_no_place(names, kind, message, hint):
    with pytest.raises(kind) as error:
        cuttable(DigitNetwork(), DIGIT).named(names)
    assert message in error.value.message and hint in error.value.hint and error.value.where == "at"


def test_a_forward_that_takes_its_way_by_values_is_refused_where_it_does():
    line = Flow.forward.__code__.co_firstlineno + 2
    with pytest.raises(ModelError, match="control flow") as error:
        cuttable(Flow(), IMAGES)
    assert re.search(rf"test_cutting\.py:{line}$", error.value.where)


def test_an_example_that_does_not_fit():
    with pytest.raises(ModelError, match=r"doesn't run on a batch of two inputs of \[3, 8, 8\]"):
        cuttable(DigitNetwork(), IMAGES)


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (Dense(), IMAGES, "more than one tensor crosses; after 'a' 2 tensors cross: x and a"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), IMAGES, "one layer with weights"),
        (returning(lambda logits: {"logits": logits}), DIGIT, "returns a dict"),
        (returning(lambda logits: logits[:, :, None]), DIGIT, r"returns a tensor of \[2, 10, 1\]"),
        (returning(lambda logits: logits + torch.rand(2, 10)), DIGIT, "computes something else"),
    ],
)
def test_a_network_that_can_have_no_exit(module, example, message):
    with pytest.raises(ModelError, match=message):
        cuttable(module, example)
