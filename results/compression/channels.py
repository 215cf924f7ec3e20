"""Fewer channels in ResNet-20, on a grid, to a share of its MACs; fine-tuned, and timed against the dense one in ONNX Runtime.

python results/compression/channels.py --share 0.5
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject
from int8 import onnx_accuracy, paired

from picojoule.atomic_file import replace_file
from picojoule.compress.channels import shrink
from picojoule.compress.damage import Divergence
from picojoule.compress.layers import weighted
from picojoule.train import Recipe, fit

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = torch.zeros(1, 3, 32, 32)


def macs(network: torch.nn.Module) -> float:
    """MACs of the convolutions and fully connected layers of one image."""
    found = []
    hooks = [
        layer.register_forward_hook(
            lambda m, _, y: found.append(m.weight.numel() * (y.shape[2] * y.shape[3] if y.ndim == 4 else 1))
        )
        for layer in weighted(network).values()
    ]
    with torch.no_grad():
        network(EXAMPLE)
    for hook in hooks:
        hook.remove()
    return float(sum(found))


def export(network: torch.nn.Module, path: Path) -> None:
    """As ONNX with a free batch."""
    torch.onnx.export(
        network.to(memory_format=torch.contiguous_format).eval(),
        (torch.zeros(2, 3, 32, 32),),
        str(path),
        dynamo=True,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", nargs="+", type=float, default=[0.49])
    parser.add_argument("--grid", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = subject.images(given.shared)
    dense = subject.resnet20(given.shared)
    batches = [subject.normalised(data.train.pixels[i : i + 250]) for i in range(0, 1000, 250)]
    for share in given.share:
        whole = macs(dense)
        small, steps = shrink(
            dense,
            EXAMPLE,
            cost=macs,
            damage=Divergence(dense, batches),
            budget=share * whole,
            grid=given.grid,
            batches=batches,
            keep=("conv1",),
        )
        for step in steps:
            print(json.dumps(asdict(step)), flush=True)
        before = subject.accuracy(small, data.test)
        folder = given.runs / f"channels-{share:g}"
        small = small.to(memory_format=torch.channels_last)
        recipe = Recipe(epochs=given.epochs, peak_rate=given.rate, l2=1e-5, augment=True, distil=0.9)
        fit(
            small,
            data,
            recipe,
            folder=folder,
            normalisation=subject.NORMALISATION,
            teacher=dense,
            note=lambda line: print(
                json.dumps({k: line[k] for k in ("epoch", "loss", "train_accuracy", "choose_accuracy", "cpu_s")}),
                flush=True,
            ),
        )
        accuracy = subject.accuracy(small, data.test)
        export(small, folder / "float32.onnx")
        export(dense, folder / "dense.onnx")
        result = {
            "share_asked": share,
            "steps": [asdict(step) for step in steps],
            "macs": macs(small),
            "dense_macs": whole,
            "accuracy_before_tuning": before,
            "accuracy": accuracy,
            "accuracy_onnx": onnx_accuracy(folder / "float32.onnx", data.test),
            "accuracy_choosing": subject.accuracy(small, data.choose),
        }
        for batch in (1, 64):
            dense_ms, own_ms, ratio = paired(
                folder / "dense.onnx", folder / "float32.onnx", batch, 300 if batch == 1 else 40
            )
            result[f"batch {batch}"] = {"dense_ms": dense_ms, "ms": own_ms, "faster": ratio}
        replace_file(folder / "result.json", json.dumps(result))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
