"""Which results stay on the chip for the layers that read them, and the machine that each layer then meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.cost.suited import room_to_stay, staying
from picojoule.hardware.accelerator import Accelerator
from picojoule.workload.nest import TENSORS, Bits
from picojoule.workload.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What one layer meets: the machine, and its tensors that stay on the chip."""

    machine: Accelerator
    stays: tuple[str, ...] = ()


def machines_met(network: Network, widths: Sequence[Bits], machine: Accelerator) -> list[Met]:
    """The machine of every layer: that of the description but for tensors that stay where another layer left them.

    The results of an engine that has a level for them (``Engine.outputs_stay_at``) stay there if all who read them are
    nests, if nobody hands them back, and if they fit. The law: ``docs/explanation/counting.md``, "The machine of a layer".
    """
    engine = next((f.depthwise for f in machine.fanouts if f.depthwise is not None), None)
    flow = network.flow
    at = None if engine is None else engine.outputs_stay_at
    if engine is None or at is None or flow is None:
        return [Met(machine=machine)] * len(network.layers)
    layers = network.layers
    names = [layer.name for layer in layers]
    # In a chain each layer reads the one before.
    reads = [(name,) for name in ["", *names[:-1]]] if flow.chain else flow.reads
    readers: dict[str, list[int]] = {name: [] for name in names}
    for i, read in enumerate(reads):
        for name in read:
            readers.setdefault(name, []).append(i)
    room = room_to_stay(machine.level(at), shared=True)
    sizes: list[dict[str, int]] = [{} for _ in layers]
    for i, (layer, bits) in enumerate(zip(layers, widths, strict=True)):
        if layer.nest is None or not layer.nest.depthwise or layer.repeats > 1 or layer.name in flow.outputs:
            continue
        after = readers[layer.name]
        plain = all(layers[j].nest is not None and layers[j].repeats == 1 and reads[j] == (layer.name,) for j in after)
        size = layer.nest.elements("outputs") * bits.outputs
        # Beside what one layer found there it may leave its own result: both have to fit.
        if after and plain and (room is None or size + sizes[i].get("inputs", 0) <= room):
            sizes[i]["outputs"] = size
            for j in after:
                sizes[j]["inputs"] = size
    return [
        Met(machine=staying(machine, at, one) if one else machine, stays=tuple(t for t in TENSORS if t in one))
        for one in sizes
    ]
