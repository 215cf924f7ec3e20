"""Fewer channels and blocks: what belongs together, and a network without what matters least.

Which layers must lose a channel together (residual sums, concatenations, depthwise filters, BatchNorm) is worked out by
torch-pruning's dependency graph; this module is all that knows that library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from picojoule.compress.batchnorm import reestimate
from picojoule.compress.countdown import silent
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


@dataclass(frozen=True, slots=True)
class Step:
    """Channels, or a whole block, that went.

    Attributes:
        root: the root of the channels' group, or the block.
        channels: how many are left; 0: the block is gone.
        removed: their indices as they were before this step.
        cost, damage: of the network after it.
    """

    root: str
    channels: int
    removed: tuple[int, ...]
    cost: float
    damage: float


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
        raise ModelError(
            f"without these channels the network can't be run: {problem}", where=", ".join(removed)
        ) from None
    return network


def batchnorms(module: torch.nn.Module, example: Any) -> dict[str, list[str]]:
    """The BatchNorms of the channels of each group, by the group's root.

    Args:
        module: in any mode; it is not changed.
        example: an input that it can be called with.
    """
    norm = import_torch().nn.modules.batchnorm._BatchNorm
    graph, network = _graph(module, example)
    names = {child: name for name, child in network.named_modules()}
    found: dict[str, list[str]] = {}
    for group in graph.get_all_groups(root_module_types=_prunable()):
        channels = graph.get_out_channels(group[0].dep.target.module)
        found[names[group[0].dep.target.module]] = [
            names[dep.target.module]
            for dep, _ in group
            if isinstance(dep.target.module, norm) and dep.target.module.num_features == channels
        ]
    return found


def blocks(module: torch.nn.Module, example: Any) -> list[str]:
    """The parts of a network that can go as a whole: what they return has the shape of the one input that they take.

    Such is a residual block without a change of shape; of parts inside one another the innermost are named.

    Args:
        module: it is not changed.
        example: an input that it can be called with.
    """
    torch = import_torch()
    seen: dict[str, list[bool]] = {}
    hooks = []

    def watch(name: str) -> Callable[..., None]:
        def note(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
            same = len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) and isinstance(output, torch.Tensor)
            seen.setdefault(name, []).append(same and inputs[0].shape == output.shape)

        return note

    for name, part in module.named_modules():
        if name and not isinstance(part, _prunable()) and weighted(part):
            hooks.append(part.register_forward_hook(watch(name)))
    try:
        shapes = _results(module.eval(), example)
    finally:
        for hook in hooks:
            hook.remove()
    once = [name for name, calls in seen.items() if calls == [True]]
    innermost = [name for name in once if not any(other.startswith(f"{name}.") for other in once)]
    return [name for name in innermost if _results_or_none(without_block(module, name), example) == shapes]


def without_block(module: torch.nn.Module, name: str) -> torch.nn.Module:
    """A copy of the network that passes on what that part was given.

    Raises:
        ModelError: there is no such part.
    """
    network = copy.deepcopy(module).eval()
    try:
        network.get_submodule(name)
    except AttributeError:
        raise ModelError("there is no such part of the network", where=name) from None
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, import_torch().nn.Identity())
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
        weight = (
            weighted(module)[name].weight.detach().double().flatten(2)
            if weighted(module)[name].weight.ndim > 2
            else (weighted(module)[name].weight.detach().double()[:, :, None])
        )
        squares = moments(module, module, name, batches).seen[0].diagonal().double().view(weight.shape[1], -1)
        parts = (weight.square() * squares).sum((0, 2))
        total += torch.stack([parts[indices].sum() for indices in read])
    return total


def resolved(
    network: torch.nn.Module, before: torch.nn.Module, original: torch.nn.Module, batches: Sequence[Any]
) -> None:
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
    done: Callable[[float], None] = silent,
) -> tuple[torch.nn.Module, list[Step]]:
    """Takes channels and whole blocks away where the cost falls most per damage, until it is within the budget.

    What a move would bring is worked out again before it is made: damages change as the network does.

    Args:
        module: in evaluation mode; it is not changed.
        example: an input of batch 1.
        cost: of a network, in the budget's unit.
        damage: of a network: 0 or more, 0 for the one that is given.
        budget: the most that it may cost.
        grid: counts of channels are multiples of it.
        batches: inputs to weigh channels on, to solve the layers that read them anew, and to re-estimate BatchNorm.
        keep: layers that keep their filters and their inputs.
        done: called with a rough share of the work that is behind: while all moves are tried for the first time the share of
            those, which is half of it; then by how much the cost has fallen.

    Returns:
        The network, and a line for each step. It is within the budget if the last line's cost is; else nothing more can go.

    Raises:
        UsageError: the grid is below 1.
    """
    if grid < 1:
        raise UsageError(f"channels come in multiples of at least 1, got {grid!r}", where="grid")
    steps: list[Step] = []
    now, price, harm = module, cost(module), damage(module)
    start = price
    worth: dict[tuple[str, int], tuple[float, float]] = {}
    found: list[Group] | None = None
    while price > budget:
        fresh: dict[tuple[str, int], tuple[torch.nn.Module, Step]] = {}
        if found is None:
            found = [one for one in groups(now, example) if not keep or not _touched(now, example, one) & set(keep)]
        moves = _moves(found, now, example, grid, keep)
        while True:
            best = _best(moves, worth, price - budget)
            if best is None:
                return now, steps
            if best in fresh:
                break
            removed = least(now, example, best, batches)
            candidate = less(now, example, best[0], removed, module, batches)
            step = Step(best[0], best[1], tuple(removed), cost(candidate), damage(candidate))
            worth[best] = (price - step.cost, max(1e-6, step.damage - harm))
            tried = sum(move in worth for move in moves) / len(moves)
            done(0.5 * tried + 0.5 * (start - price) / (start - budget))
            fresh[best] = (candidate, step)
        now, step = fresh[best]
        price, harm = step.cost, step.damage
        steps.append(step)
        # Working groups out takes long, and only a block that goes changes which there are.
        found = (
            [replace(g, channels=step.channels) if g.root == step.root else g for g in found] if step.channels else None
        )
    return now, steps


def _touched(module: torch.nn.Module, example: Any, group: Group) -> set[str]:
    """Layers that lose filters or inputs with a channel of the group."""
    fewer = weighted(without(module, example, {group.root: [0]}))
    return {name for name, layer in weighted(module).items() if layer.weight.shape != fewer[name].weight.shape}


def _best(
    moves: list[tuple[str, int]], worth: Mapping[tuple[str, int], tuple[float, float]], missing: float
) -> tuple[str, int] | None:
    """The move of most saved per damage; once that is enough, the one of least damage that is. Untried ones first."""
    untried = [move for move in moves if move not in worth]
    if untried:
        return untried[0]
    saving = [move for move in moves if worth[move][0] > 0]
    best = max(saving, key=lambda move: worth[move][0] / worth[move][1], default=None)
    if best is None or worth[best][0] < missing:
        return best
    return min((move for move in saving if worth[move][0] >= missing), key=lambda move: worth[move][1])


def _moves(
    known: list[Group], module: torch.nn.Module, example: Any, grid: int, keep: tuple[str, ...]
) -> list[tuple[str, int]]:
    """What can go next: (root of a group, channels to be left), and (block, 0)."""
    found = [
        (group.root, target)
        for group in known
        if (target := (group.channels - 1) // grid * grid) >= grid and not set(group.layers) & set(keep)
    ]
    for name in blocks(module, example):
        if not any(layer.startswith(f"{name}.") for layer in keep):
            found.append((name, 0))
    return found


def least(module: torch.nn.Module, example: Any, move: tuple[str, int], batches: Sequence[Any]) -> list[int]:
    """The channels that bring least, as many as the move takes; none for a block, which goes as it is."""
    root, target = move
    if not target:
        return []
    order = contributions(module, example, root, batches).argsort().tolist()
    return sorted(order[: len(order) - target])


def less(
    module: torch.nn.Module,
    example: Any,
    root: str,
    removed: Sequence[int],
    original: torch.nn.Module,
    batches: Sequence[Any],
) -> torch.nn.Module:
    """The network without some channels of a group, or without a block if ``removed`` is empty.

    The layers that read what is gone are solved anew, and BatchNorm is re-estimated.
    """
    if not removed:
        fewer = without_block(module, root)
    else:
        fewer = without(module, example, {root: list(removed)})
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


def _results_or_none(network: Any, example: Any) -> list[tuple[int, ...]] | None:
    try:
        return _results(network, example)
    except (RuntimeError, AttributeError, TypeError, IndexError):
        return None


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
