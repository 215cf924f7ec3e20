"""Fewer channels: which belong together, and a network without those that matter least.

Which layers must lose a channel together (residual sums, concatenations, depthwise filters, BatchNorm) is worked out by
torch-pruning's dependency graph; this module is all that knows that library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picojoule.compress.batchnorm import reestimate
from picojoule.compress.layers import weighted
from picojoule.compress.reconstruction import moments, prune_layer
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


def contributions(module: torch.nn.Module, example: Any, root: str, batches: Sequence[Any]) -> Any:
    """How much each channel of a group brings to the layers that read it: the mean square of its part of their outputs, summed.

    The norm of a filter says little where BatchNorm follows. Where nobody reads the channels through weights it is all there is.
    """
    torch = import_torch()
    graph, network = _graph(module, example)
    names = {child: name for name, child in network.named_modules()}
    layer = dict(network.named_modules())[root]
    channels = graph.get_out_channels(layer)
    readers: dict[str, list[list[int]]] = {}
    for channel in range(channels):
        for dep, indices in graph.get_pruning_group(layer, _out_channels(layer), idxs=[channel]):
            reads = graph.is_in_channel_pruning_fn(dep.handler) and isinstance(dep.target.module, _prunable())
            if reads and getattr(dep.target.module, "groups", 1) == 1:
                readers.setdefault(names[dep.target.module], [[] for _ in range(channels)])[channel] += list(indices)
    if not readers:
        return layer.weight.detach().flatten(1).norm(dim=1) ** 2
    total = torch.zeros(channels, dtype=torch.float64)
    for name, read in readers.items():
        weight = weighted(module)[name].weight.detach().double().flatten(2) if weighted(module)[name].weight.ndim > 2 else (
            weighted(module)[name].weight.detach().double()[:, :, None])
        squares = moments(module, module, name, batches).seen[0].diagonal().double().view(weight.shape[1], -1)
        parts = (weight.square() * squares).sum((0, 2))
        total += torch.stack([parts[indices].sum() for indices in read])
    return total


def resolved(network: torch.nn.Module, before: torch.nn.Module, original: torch.nn.Module, batches: Sequence[Any]) -> None:
    """Solves the layers that lost inputs for the outputs that they had, in place (``reconstruction``).

    Args:
        network: without some channels.
        before: the same before they went.
        original: the network as it came; its outputs are aimed for where they are as many.
        batches: inputs.
    """
    was, first = weighted(before), weighted(original)
    for name, layer in weighted(network).items():
        lost_inputs = layer.weight.shape[1] < was[name].weight.shape[1]
        if lost_inputs and len(layer.weight) == len(was[name].weight) and getattr(layer, "groups", 1) == 1:
            aim = original if len(layer.weight) == len(first[name].weight) else before
            layer.weight.data = prune_layer(layer.weight, 1.0, moments(network, aim, name, batches))


def shrink(
    module: torch.nn.Module,
    example: Any,
    *,
    cost: Callable[[torch.nn.Module], float],
    damage: Callable[[torch.nn.Module], float],
    budget: float,
    grid: int = 8,
    batches: Sequence[Any],
    keep: tuple[str, ...] = (),
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    """Takes channels away, a multiple of ``grid`` at a time, where the cost falls most per damage, until ``cost`` is within the budget.

    Args:
        cost: of a network, in the budget's unit.
        damage: of a network: 0 or more, 0 for the one that is given.
        grid: counts of channels are multiples of it.
        batches: inputs to weigh channels on, to solve the layers that read them anew, and to re-estimate BatchNorm.
        keep: layers that must not change.

    Returns:
        The network, and a line for each step: root, channels left, those removed, cost and damage after it. It is within the budget if the
        last line's cost is; else no group could lose more.

    Raises:
        UsageError: the grid is below 1.
    """
    if grid < 1:
        raise UsageError(f"channels come in multiples of at least 1, got {grid!r}", where="grid")
    steps: list[dict[str, Any]] = []
    now, price, harm = module, cost(module), damage(module)
    known: dict[str, tuple[float, float, list[int]]] = {}
    while price > budget:
        best = None
        for group in groups(now, example):
            target = (group.channels - 1) // grid * grid
            if target < grid or set(group.layers) & set(keep):
                continue
            # Elsewhere the network changed little since this group was last tried: the damage that it added stands.
            if group.root not in known:
                order = contributions(now, example, group.root, batches).argsort()
                removed = sorted(order[: group.channels - target].tolist())
                candidate = less(now, example, group.root, removed, module, batches)
                known[group.root] = (price - cost(candidate), max(1e-6, damage(candidate) - harm), removed)
            gained, lost, removed = known[group.root]
            if gained > 0 and (best is None or gained / lost > best[0]):
                best = (gained / lost, group.root, removed, target)
        if best is None:
            break
        _, root, removed, target = best
        del known[root]
        now = less(now, example, root, removed, module, batches)
        price, harm = cost(now), damage(now)
        steps.append({"root": root, "channels": target, "removed": removed, "cost": price, "damage": harm})
    return now, steps


def less(
    module: torch.nn.Module, example: Any, root: str, removed: list[int], original: torch.nn.Module, batches: Sequence[Any]
) -> torch.nn.Module:
    """The network without some channels of a group, the layers that read them solved anew and BatchNorm re-estimated."""
    fewer = without(module, example, {root: removed})
    resolved(fewer, module, original, batches)
    reestimate(fewer, batches)
    return fewer


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
