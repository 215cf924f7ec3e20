"""One network at several widths: shared weights of which each width takes the channels that matter most.

After Yu et al., Slimmable Neural Networks (arXiv 1812.08928): the widths share their convolutions and products, and each
has BatchNorms of its own, since statistics differ with the channels that are there. Which channels belong together is
worked out by ``compress.channels``; a narrower width's channels are among those of every wider one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.compress.batchnorm import reestimate
from picojoule.compress.channels import groups, without
from picojoule.compress.layers import weighted
from picojoule.compress.task import LEAST_AUGMENTED, inputs_of
from picojoule.errors import ModelError, UsageError
from picojoule.train import Recipe, Splits, fit
from picojoule.train.images import Normalisation
from picojoule.train.torch_extra import import_torch

if TYPE_CHECKING:
    import torch

WIDTHS = (0.25, 0.5, 0.75, 1.0)
TUNING = Recipe(epochs=6, peak_rate=1e-3, l2=1e-5, augment=True, distil=0.5)
"""Of fitting the widths to one another, unless another is asked for."""
WEIGHED_ON = 500
"""Training images that channels are weighed on, and that BatchNorm's first statistics of a width come from."""


def tuning_for(data: Splits) -> Recipe:
    """``TUNING``; small images are neither moved nor mirrored, which would make others of them."""
    return TUNING if data.train.pixels.shape[1] >= LEAST_AUGMENTED else replace(TUNING, augment=False)


def channels_at(module: torch.nn.Module, example: Any, width: float, grid: int) -> dict[str, tuple[int, int]]:
    """Channels of each group at a width and in all, by the group's root: a multiple of ``grid``, all at 1.

    Raises:
        ModelError: no group can lose a channel.
    """
    found = {group.root: group.channels for group in groups(module, example)}
    if not found:
        raise ModelError(
            "no layer of the network can lose a channel",
            where="model",
            hint="Widths need convolutions or products whose channels only weighted layers read.",
        )
    return {
        root: (channels if width == 1 else min(channels, max(1, round(width * channels / grid)) * grid), channels)
        for root, channels in found.items()
    }


def slimmable(
    module: torch.nn.Module,
    example: Any,
    widths: Sequence[float] = WIDTHS,
    *,
    batches: Sequence[Any],
    grid: int = 1,
) -> Any:
    """The network at several widths as one module: its logits are those of every width, from the narrowest to the widest.

    Args:
        module: the network at full width; its results are logits, or a sequence of them, one for each exit.
        example: an input of batch 1.
        widths: shares of the channels, rising, the last is 1.
        batches: inputs, to weigh channels on and for the first statistics of BatchNorm.
        grid: channels come in multiples of it.

    Returns:
        A module that ``train.fit`` trains. ``at(number)`` is the network of a width, with weights of its own.

    Raises:
        UsageError: widths that don't rise to 1, or two that come to the same channels.
        ModelError: no channels can go, or a width takes others than it shows (``check``).
    """
    widths = check_widths(widths)
    if grid < 1:
        raise UsageError(f"channels come in multiples of at least 1, got {grid!r}", where="grid")
    counts = [channels_at(module, example, width, grid) for width in widths]
    for number, (a, b) in enumerate(zip(counts, counts[1:], strict=False)):
        if a == b:
            raise UsageError(
                f"at widths {widths[number]:g} and {widths[number + 1]:g} every layer has the same channels",
                where="widths",
                hint="Name widths that lie further apart, or a smaller --grid.",
            )
    order = _order(module, example, batches)
    removed = [{root: sorted(order[root][kept:]) for root, (kept, _) in count.items()} for count in counts]
    _check(module, example, removed[0])
    return _class()(module, example, removed, batches)


def check_widths(widths: Sequence[float]) -> tuple[float, ...]:
    """Shares above 0 that rise and end with 1.

    Raises:
        UsageError: they don't.
    """
    given = tuple(float(width) for width in widths)
    if len(given) < 2 or given[-1] != 1 or given[0] <= 0 or any(a >= b for a, b in zip(given, given[1:], strict=False)):
        raise UsageError(
            f"widths are two or more shares above 0 that rise and end with 1, got {', '.join(f'{w:g}' for w in given)}",
            where="widths",
            hint="For example 0.25,0.5,0.75,1.",
        )
    return given


def train_widths(
    module: torch.nn.Module,
    example: Any,
    data: Splits,
    *,
    folder: Path,
    widths: Sequence[float] = WIDTHS,
    grid: int = 1,
    recipe: Recipe = TUNING,
    normalisation: Normalisation | None = None,
    note: Any = lambda _: None,
) -> list[torch.nn.Module]:
    """Trains a network at several widths at once, from its weights; the network as it came teaches all of them.

    Every step sees every width; ``recipe.distil`` of each loss comes from the network's own last logits.

    Args:
        module: trained, at full width; it is not changed.
        example: an input of batch 1.
        data: train fits, choose keeps the best epoch.
        folder: for checkpoints and log; a training that stopped there goes on.
        widths: see ``slimmable``.
        grid: see ``slimmable``.
        recipe: how.
        normalisation: of pixels, as the network was trained; by default that of the training images.
        note: called with each line of the log.

    Returns:
        The networks, from the narrowest to the widest.

    Raises:
        PicojouleError: of ``slimmable`` and ``train.fit``.
    """
    normal = normalisation or data.normalisation()
    shown = [inputs_of(data.train.pixels[:WEIGHED_ON], normal).float()]
    network = slimmable(module, example, widths, batches=shown, grid=grid)
    teacher = copy.deepcopy(module).eval()
    fit(network, data, recipe, folder=folder, note=note, normalisation=normal, teacher=teacher)
    return [network.at(number) for number in range(len(widths))]


def _order(module: torch.nn.Module, example: Any, batches: Sequence[Any]) -> dict[str, list[int]]:
    """Channels of each group from what matters most to what matters least: by Σ(weight · gradient)² over their filters.

    After Molchanov et al., Importance Estimation for Neural Network Pruning (arXiv 1906.10771); the gradient is of the cross
    entropy against the network's own answers, batch by batch.
    """
    torch = import_torch()
    network = copy.deepcopy(module).eval()
    layers = weighted(network)
    matters = {name: torch.zeros(len(layer.weight)) for name, layer in layers.items()}
    for batch in batches:
        network.zero_grad()
        loss = sum(torch.nn.functional.cross_entropy(one, one.detach().argmax(1)) for one in _listed(network(batch)))
        loss.backward()
        for name, layer in layers.items():
            if layer.weight.grad is not None:
                matters[name] += (layer.weight.detach() * layer.weight.grad).square().flatten(1).sum(1)
    return {
        group.root: sum(matters[name] for name in group.layers).argsort(descending=True, stable=True).tolist()
        for group in groups(module, example)
    }


def _check(module: torch.nn.Module, example: Any, removed: dict[str, list[int]]) -> None:
    """Raises ModelError unless a narrower network is the whole one with the other channels' weights at 0.

    What torch-pruning takes for a layer's inputs may be others where a map is transposed before it is flattened.
    """
    torch = import_torch()
    silent = copy.deepcopy(module).eval()
    readers = _cut(module, example, removed)
    for name, layer in weighted(silent).items():
        kept = readers.get(f"{name}.weight")
        if kept is not None:
            mask = torch.zeros(layer.weight.numel(), dtype=torch.bool)
            mask[kept.flatten()] = True
            layer.weight.data.mul_(mask.view_as(layer.weight))
    narrow = without(module, example, removed).eval()
    x = torch.randn(2, *example.shape[1:], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pairs = list(zip(_listed(silent(x)), _listed(narrow(x)), strict=True))
    if not all(torch.allclose(a, b, atol=1e-3 * float(a.abs().max().clamp(min=1))) for a, b in pairs):
        raise ModelError(
            "the channels that a layer reads aren't known: without some of them the network isn't the one whose weights for them are 0",
            where="model",
            hint="Maps must be flattened as they come, channels first.",
        )


def _cut(module: torch.nn.Module, example: Any, removed: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """For each parameter of layers with weights, which of its elements are left: places in the flat parameter."""
    torch = import_torch()
    numbered = copy.deepcopy(module).double()
    for _, layer in weighted(numbered).items():
        for parameter in layer.parameters(recurse=False):
            parameter.data = torch.arange(parameter.numel(), dtype=torch.float64).view(parameter.shape)
    fewer = weighted(without(numbered, example.double(), removed))
    return {
        f"{name}.{part}": parameter.detach().long()
        for name, layer in fewer.items()
        for part, parameter in layer.named_parameters(recurse=False)
    }


def _own_parts(network: torch.nn.Module) -> list[torch.nn.Module]:
    """Parts with parameters or statistics that are no convolutions or products.

    Raises:
        ModelError: a part that has both parameters of its own and other parts.
    """
    shared = list(weighted(network).values())
    parts = [m for m in network.modules() if m not in shared and [*m.parameters(recurse=False), *m.buffers(recurse=False)]]
    nested = next((type(part).__name__ for part in parts if list(part.children())), None)
    if nested is not None:
        raise ModelError(
            "it has parameters of its own beside its parts: a width can't tell which of them it takes", where=nested,
            hint="Put them into a module of their own.",
        )
    return parts


def _listed(returned: Any) -> list[Any]:
    return [returned] if isinstance(returned, import_torch().Tensor) else list(returned)


def _class() -> Any:
    """Made when torch is there: the package itself must load without it."""
    torch = import_torch()
    nn = torch.nn

    class Slimmable(nn.Module):
        """See ``slimmable``."""

        def __init__(self, module: Any, example: Any, removed: list[dict[str, list[int]]], batches: Any) -> None:
            super().__init__()
            self.whole = copy.deepcopy(module)
            self._narrow, self._ways = [], []
            self.own = nn.ModuleList()  # BatchNorms, and whatever else has parameters and isn't shared
            for some in removed[:-1]:
                narrow = without(module, example, some)
                reestimate(narrow, batches)
                self._narrow.append(narrow)
                shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
                self._ways.append({n: _ways(shapes[n], places) for n, places in _cut(module, example, some).items()})
                self.own.append(nn.ModuleList(_own_parts(narrow)))

        def train(self, mode: bool = True) -> Any:
            for narrow in self._narrow:
                narrow.train(mode)
            return super().train(mode)

        def _weights(self, number: int) -> dict[str, Any]:
            mine = dict(self.whole.named_parameters())
            return {name: _taken(mine[name], ways) for name, ways in self._ways[number].items()}

        def forward(self, x: Any) -> list[Any]:
            logits: list[Any] = []
            for number, narrow in enumerate(self._narrow):
                logits += _listed(torch.func.functional_call(narrow, self._weights(number), (x,)))
            return logits + _listed(self.whole(x))

        def at(self, number: int) -> Any:
            """The network of a width, with weights of its own, in evaluation mode."""
            if number == len(self._narrow):
                return copy.deepcopy(self.whole).eval()
            network = copy.deepcopy(self._narrow[number])
            parameters = dict(network.named_parameters())
            with torch.no_grad():
                for name, values in self._weights(number).items():
                    parameters[name].copy_(values)
            return network.eval()

    return Slimmable


def _ways(shape: Sequence[int], places: torch.Tensor) -> list[tuple[int, torch.Tensor]] | torch.Tensor:
    """How those places are taken from a parameter: by indices along axes, or one by one where that can't tell it."""
    torch = import_torch()
    if tuple(shape) == tuple(places.shape):
        return []
    axes = [
        coordinates.movedim(axis, 0).reshape(places.shape[axis], -1)[:, 0]
        for axis, coordinates in enumerate(torch.unravel_index(places, tuple(shape)))
    ]
    found = [(axis, index) for axis, index in enumerate(axes) if len(index) < shape[axis]]
    numbered = torch.arange(places.new_tensor(shape).prod().item()).view(tuple(shape))
    return found if torch.equal(_taken(numbered, found), places) else places


def _taken(parameter: Any, ways: list[tuple[int, torch.Tensor]] | torch.Tensor) -> Any:
    """The part of a parameter that a width takes, see ``_ways``."""
    if not isinstance(ways, list):
        return parameter.flatten()[ways]
    for axis, index in ways:
        parameter = parameter.index_select(axis, index)
    return parameter
