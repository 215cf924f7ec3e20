"""A network as it came with classifiers at some of its places; and its training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.exits.cutting import Cuttable, Place
from picojoule.exits.heads import Head, make_head
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

HEADS = "exits"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExit:
    """A classifier at a place."""

    place: Place
    head: Head


def with_exits(cut: Cuttable, exits: Sequence[NewExit], *, seed: int = 0) -> torch.fx.GraphModule:
    """The network for evaluation, returning a list: the logits of each new exit, and its own as before, to the bit.

    Args:
        cut: the network. It stays as it is.
        exits: in the order of their depth. The classifiers are modules ``exits.0``, ``exits.1`` and so on; all other weights keep
            their names.
        seed: of the classifiers' first weights.

    Raises:
        ModelError: no classifier reads what crosses at a place.
    """
    torch = import_torch()
    network = copy.deepcopy(cut.traced)
    nodes = {node.name: node for node in network.graph.nodes}
    output = next(node for node in network.graph.nodes if node.op == "output")
    home = holder(network)
    answers = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for index, one in enumerate(exits):
            network.add_submodule(f"{home}.{index}", make_head(one.head, one.place.shape, cut.classes))
            with network.graph.inserting_after(nodes[one.place.node]):
                answers.append(network.graph.call_module(f"{home}.{index}", (nodes[one.place.node],)))
    output.args = ([*answers, output.args[0]],)
    network.recompile()
    return network.eval()


def holder(network: Any) -> str:
    """The name of the module that holds the classifiers: another one if the network uses ``exits`` itself."""
    taken = {name.partition(".")[0] for name, _ in network.named_modules()}
    return HEADS if HEADS not in taken else f"{HEADS}_added"


def for_training(network: Any, heads: str, *, backbone: bool, taught: bool) -> tuple[Any, Any]:
    """The network as ``train.fit`` trains it, and a teacher that knows what the last exit has just answered.

    Args:
        network: of ``with_exits``; it is trained in place.
        heads: name of the module that holds the classifiers.
        backbone: train its other weights, too. Otherwise they and their statistics stay as they are, to the bit.
        taught: the teacher will be asked. If it won't, and the backbone stays, layers behind the last new exit need not run.
    """
    torch = import_torch()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(backbone or name.startswith(f"{heads}."))
    way = network if backbone or taught else _without_the_end(torch, network)

    class Training(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.way = (way,)  # of the same layers: no second child
            self.answered: Any = None

        def forward(self, x: Any) -> Any:
            answers = self.way[0](x)
            self.answered = answers[-1].detach()
            return answers

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            if not backbone:
                self.network.eval()
                getattr(self.network, heads).train(mode)
            return self

    class LastAnswer(torch.nn.Module):  # type: ignore[misc,name-defined]
        """Asked about the images that the network has just answered, it repeats what the last exit said."""

        def forward(self, x: Any) -> Any:
            assert len(x) == len(training.answered)
            return training.answered

    training = Training()
    return training, LastAnswer()


def _without_the_end(torch: Any, network: Any) -> Any:
    """The same layers up to the last new exit."""
    way = torch.fx.GraphModule(network, copy.deepcopy(network.graph))
    output = next(node for node in way.graph.nodes if node.op == "output")
    output.args = (list(output.args[0])[:-1],)
    way.graph.eliminate_dead_code()
    way.recompile()
    return way
