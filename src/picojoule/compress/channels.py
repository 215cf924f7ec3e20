"""Fewer channels: which belong together, and a network without those that matter least.

Which layers must lose a channel together (residual sums, concatenations, depthwise filters, BatchNorm) is worked out by
torch-pruning's dependency graph; this module is all that knows that library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.errors import MissingExtraError, ModelError, UsageError
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Group:
    """Filters that come and go together.

    Attributes:
        root: the layer by whose output channels they are counted.
        layers: all whose output channels they are, ``root`` among them.
        channels: how many there are.
    """

    root: str
    layers: tuple[str, ...]
    channels: int


def groups(module: torch.nn.Module, example: Any) -> list[Group]:
    """The groups of a network, without that of its results. A group that can't lose a channel is left out.

    Args:
        module: in any mode; it is not changed.
        example: an input that it can be called with.
    """
    graph, network = _graph(module, example)
    names = {child: name for name, child in network.named_modules()}
    outputs = _results(network, example)
    found = []
    for group in graph.get_all_groups(root_module_types=_prunable()):
        layers = tuple(
            dict.fromkeys(
                names[dep.target.module]
                for dep, _ in group
                if graph.is_out_channel_pruning_fn(dep.handler) and isinstance(dep.target.module, _prunable())
            )
        )
        root = names[group[0].dep.target.module]
        channels = graph.get_out_channels(group[0].dep.target.module)
        if channels > 1 and _works(module, example, root, outputs):
            found.append(Group(root, layers, channels))
    return found


def without(module: torch.nn.Module, example: Any, removed: Mapping[str, list[int]]) -> torch.nn.Module:
    """A copy of the network without those output channels, by the root of their group.

    Raises:
        ModelError: no such group, or the network can't be called any more.
    """
    graph, network = _graph(module, example)
    layers = dict(network.named_modules())
    for root, indices in removed.items():
        if root not in layers:
            raise ModelError("there is no such layer", where=root)
        if indices:
            group = graph.get_pruning_group(layers[root], _out_channels(layers[root]), idxs=sorted(indices))
            if not graph.check_pruning_group(group):
                raise ModelError("a layer would be left without channels", where=root)
            group.prune()
    try:
        with import_torch().no_grad():
            network.eval()(example)
    except (RuntimeError, IndexError) as problem:
        raise ModelError(f"without these channels the network can't be run: {problem}", where=", ".join(removed)) from None
    return network


def norms(module: torch.nn.Module, example: Any, root: str) -> Any:
    """How much each channel of a group weighs: the sum of the ℓ2 norms of its filters over the group's layers."""
    torch = import_torch()
    layers = dict(module.named_modules())
    group = next(g for g in groups(module, example) if g.root == root)
    return torch.stack([layers[name].weight.detach().flatten(1).norm(dim=1) for name in group.layers]).sum(0)


def shrink(
    module: torch.nn.Module,
    example: Any,
    *,
    cost: Callable[[torch.nn.Module], float],
    loss: Callable[[torch.nn.Module], float],
    budget: float,
    grid: int = 8,
    prepare: Callable[[torch.nn.Module], None] = lambda _: None,
    keep: tuple[str, ...] = (),
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    """Takes channels away, a multiple of ``grid`` at a time, where the cost falls most per loss, until ``cost`` is within the budget.

    Args:
        cost: of a network, in the budget's unit.
        loss: of a network, on data that did not train it.
        grid: counts of channels are multiples of it.
        prepare: called with each candidate before its loss is taken: to re-estimate BatchNorm.
        keep: layers that must not change.

    Returns:
        The network, and a line for each step: root, channels left, those removed, cost and loss after it. It is within the budget if the
        last line's cost is; else no group could lose more.

    Raises:
        UsageError: the grid is below 1.
    """
    if grid < 1:
        raise UsageError(f"channels come in multiples of at least 1, got {grid!r}", where="grid")
    steps: list[dict[str, Any]] = []
    now, price, harm = module, cost(module), loss(module)
    known: dict[str, tuple[float, float, list[int]]] = {}
    while price > budget:
        best = None
        for group in groups(now, example):
            if set(group.layers) & set(keep):
                continue
            target = (group.channels - 1) // grid * grid
            if target < grid:
                continue
            weights = norms(now, example, group.root)
            removed = weights.argsort()[: group.channels - target].tolist()
            # Elsewhere the network changed little since this group was last tried: the loss that it added stands.
            if group.root not in known:
                candidate = without(now, example, {group.root: removed})
                prepare(candidate)
                known[group.root] = (price - cost(candidate), max(1e-6, loss(candidate) - harm), removed)
            gained, lost, removed = known[group.root]
            if gained > 0 and (best is None or gained / lost > best[0]):
                best = (gained / lost, group, removed, target)
        if best is None:
            break
        _, group, removed, target = best
        del known[group.root]
        now = without(now, example, {group.root: removed})
        prepare(now)
        price, harm = cost(now), loss(now)
        steps.append({"root": group.root, "channels": target, "removed": removed, "cost": price, "loss": harm})
    return now, steps


def _graph(module: Any, example: Any) -> tuple[Any, Any]:
    pruning = _torch_pruning()
    network = copy.deepcopy(module).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return pruning.DependencyGraph().build_dependency(network, example_inputs=example), network


def _results(network: Any, example: Any) -> list[tuple[int, ...]]:
    with import_torch().no_grad():
        returned = network(example)
    return [tuple(one.shape) for one in (returned if isinstance(returned, tuple | list) else [returned])]


def _works(module: Any, example: Any, root: str, shapes: list[tuple[int, ...]]) -> bool:
    """Whether the network still gives results of the same shape without the group's first channel."""
    try:
        return _results(without(module, example, {root: [0]}), example) == shapes
    except ModelError:
        return False


def _prunable() -> tuple[Any, ...]:
    nn = import_torch().nn
    return (nn.Conv2d, nn.Linear)


def _out_channels(layer: Any) -> Any:
    pruning = _torch_pruning()
    nn = import_torch().nn
    if isinstance(layer, nn.Linear):
        return pruning.prune_linear_out_channels
    if layer.groups == layer.out_channels and layer.groups > 1:
        return pruning.prune_depthwise_conv_out_channels
    return pruning.prune_conv_out_channels


def _torch_pruning() -> Any:
    try:
        import torch_pruning
    except ImportError:
        raise MissingExtraError("pruning channels needs torch-pruning", hint="pip install 'picojoule[torch]'") from None
    return torch_pruning
