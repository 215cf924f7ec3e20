"""Fewer channels and blocks in ResNet-20, on a grid of 16: one of the candidates that half the MACs allow, fine-tuned, and timed.

    python results/compression/channels.py --candidate E
    python results/compression/channels.py --compare A B C D E      which to take: 250 steps of fine-tuning each

Candidate A is what ``prune --criterion channels`` finds (least damage per MAC before any tuning); the others are those with as many MACs
that give up other blocks. Which channels of a layer go is chosen by what they bring to the layers that read them.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.channels import least, less
from picojoule.compress.damage import Divergence
from picojoule.compress.handover import export_onnx, flush
from picojoule.compress.stages import Stages
from picojoule.train import save_tensors

FIRST, SECOND = ("layer2.0.conv1", 16), ("layer2.1.conv1", 16)
CANDIDATES = {
    "A": [("layer1.0", 0), ("layer2.2", 0), FIRST, SECOND, ("layer3.0.conv1", 32), ("layer3.1.conv1", 32), ("layer3.2.conv1", 16)],
    "B": [("layer1.0", 0), ("layer1.1", 0), FIRST, SECOND, ("layer2.2.conv1", 16), ("layer3.0.conv1", 48), ("layer3.1.conv1", 48),
          ("layer3.2.conv1", 32)],
    "C": [("layer1.0", 0), ("layer1.1", 0), SECOND, ("layer2.2.conv1", 16), ("layer3.0.conv1", 32), ("layer3.1.conv1", 32),
          ("layer3.2.conv1", 32)],
    "D": [("layer1.0", 0), ("layer2.2", 0), FIRST, SECOND, ("layer3.0.conv1", 48), ("layer3.1.conv1", 48), ("layer3.2", 0)],
    "E": [("layer1.0", 0), ("layer1.1", 0), ("layer2.2", 0), FIRST, SECOND, ("layer3.1.conv1", 48), ("layer3.2.conv1", 48)],
}  # fmt: skip
"""What goes, in order: a block (0), or channels down to so many."""
COMPARED_STEPS = 250


def macs(module: torch.nn.Module) -> int:
    """Of one image."""
    network = picojoule.load_model(module, subject.EXAMPLE)
    return sum(layer.nest.macs * layer.repeats for layer in network.layers if layer.nest)


def narrowed(bench: subject.Bench, moves: list[tuple[str, int]]) -> tuple[torch.nn.Module, list[dict]]:
    """The network after those moves, each solved anew, and a line for each."""
    damage, module, steps = Divergence(bench.dense, bench.batches), bench.dense, []
    for move in moves:
        gone = least(module, subject.EXAMPLE, move, bench.batches)
        module = less(module, subject.EXAMPLE, move[0], gone, bench.dense, bench.batches)
        steps.append({"root": move[0], "channels": move[1], "removed": gone, "macs": macs(module), "damage": damage(module)})
    return module, steps


def main() -> None:
    def options(parser) -> None:
        parser.add_argument("--candidate", choices=CANDIDATES, default="E")
        parser.add_argument("--compare", nargs="+", choices=CANDIDATES)

    bench = subject.Bench(__doc__, epochs=26, rate=3e-3, options=options)
    for name in bench.given.compare or ():
        compared(bench, name)
    if bench.given.compare:
        return
    name = bench.given.candidate
    folder = bench.runs / f"channels-{name}"
    stages = Stages(folder, {"candidate": name, "epochs": bench.given.epochs, "rate": bench.given.rate})
    steps = stages.figures("steps", lambda: narrowed(bench, CANDIDATES[name])[1])
    module = subject.shaped(bench.dense, steps)
    module = stages.weights("start", module, lambda: narrowed(bench, CANDIDATES[name])[0])
    module = module.to(memory_format=torch.channels_last)
    before = stages.figures("before", lambda: subject.accuracy(module, bench.data.test))
    bench.tune(module, folder / "tuning")
    flush(module)
    save_tensors(folder / "network.safetensors", module.state_dict(), {})
    for own, path in ((module, folder / "float32.onnx"), (bench.dense, folder / "dense.onnx")):
        export_onnx(copy.deepcopy(own), subject.EXAMPLE, path)
    result = {
        "steps": steps, "macs": macs(module), "accuracy_before_tuning": before,
        "accuracy": subject.accuracy(module, bench.data.test), "accuracy_choosing": subject.accuracy(module, bench.data.choose),
    }  # fmt: skip
    for batch in (1, 64):
        result[f"batch {batch}"] = subject.paired(folder / "dense.onnx", folder / "float32.onnx", batch)
    replace_file(folder / "result.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result), flush=True)


def compared(bench: subject.Bench, name: str) -> None:
    """How far 250 steps bring a candidate: the mean distance from the dense network's answers, and accuracy on the choosing images."""
    module, steps = narrowed(bench, CANDIDATES[name])
    part = replace(bench.data, train=bench.data.train.part(0, COMPARED_STEPS * bench.recipe.batch))
    short = replace(bench.recipe, epochs=1, peak_rate=2e-3, distil=1.0)
    module = module.to(memory_format=torch.channels_last)
    line = bench.tune(module, bench.runs / f"compared-{name}", data=part, recipe=short)
    told = {"candidate": name, "macs": steps[-1]["macs"], "damage": steps[-1]["damage"], "loss": line["loss"]}
    print(json.dumps(told | {"accuracy_choosing": subject.accuracy(module, bench.data.choose)}), flush=True)


if __name__ == "__main__":
    main()
