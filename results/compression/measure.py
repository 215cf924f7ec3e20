"""Accuracies and energies of the arms that were trained, from their weights rounded to float16: arms.json, claims.json, the table in
README.md, and accuracy against energy as pictures (front.svg) and as files for ``picojoule report`` (front-16.json, front-8.json).

    python results/compression/measure.py                         weights of all runs that are there; measures what is new in weights/
    python results/compression/measure.py --from-weights          without runs: measures all of weights/ again and compares with arms.json;
                                                                  exit code 1 and a line for each figure that differs
    python results/compression/measure.py --from-weights bits-4   that arm alone

Energies of pruned weights are those of the mappings found for the dense network, whose zeros alone changed: a new search finds no more.
Milliseconds are not measured again: they are of another day and machine.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject
from differences import differences
from evidence import claims_of, front_data, front_svg, table_of
from prices import Prices

from picojoule.atomic_file import replace_file
from picojoule.compress.costs import network_of
from picojoule.compress.handover import as_module, export_onnx
from picojoule.compress.int8 import best_calibration
from picojoule.compress.layers import weighted, zero_shares
from picojoule.train import load_tensors

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subject.add_places(parser)
    parser.add_argument("--from-weights", nargs="*", metavar="ARM")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = HERE / "arms.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    measured = Measured(given.shared)
    if given.from_weights is not None:
        return verified(measured, known, given.from_weights or list(known))
    changed = keep_weights(given.runs)
    for name in ["dense", *sorted(file.stem for file in (HERE / "weights").glob("*.npz"))]:
        if name not in known or name in changed:
            known[name] = measured.arm(name)
            replace_file(path, json.dumps(known, indent=1) + "\n")
            print(name, json.dumps(known[name]), flush=True)
    write_evidence(known)
    return 0


def verified(measured: Measured, known: dict, names: list[str]) -> int:
    """Measures those arms again and prints a line for each; 1 if a figure is not what ``known`` says."""
    failed = 0
    for name in names:
        found = differences(known[name], measured.arm(name, int8="accuracy_int8" in known[name]))
        print(name, "as in arms.json" if not found else "", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
        failed |= bool(found)
    return failed


def write_evidence(arms: dict) -> None:
    """claims.json, the pictures, and the table in README.md."""
    extra = {name: json.loads((HERE / f"{name}.json").read_text()) for name in ("int8", "squeezenet")}
    replace_file(HERE / "claims.json", json.dumps(claims_of(arms, extra), indent=1) + "\n")
    replace_file(HERE / "front.svg", front_svg(arms))
    for width in (16, 8):
        replace_file(HERE / f"front-{width}.json", json.dumps(front_data(arms, width), indent=1) + "\n")
    readme = HERE / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition("<!-- printed by measure.py -->")
    tail = rest.partition("<!-- end -->")[2]
    replace_file(readme, f"{head}<!-- printed by measure.py -->\n{table_of(arms)}\n<!-- end -->{tail}")


def keep_weights(runs: Path) -> set[str]:
    """Copies the weights of every finished run, as float16, beside this file, with what its log says. Returns the arms that it found."""
    (HERE / "weights").mkdir(exist_ok=True)
    (HERE / "logs").mkdir(exist_ok=True)
    found = set()
    for path in sorted(runs.glob("*/result.json")):
        folder = path.parent
        if folder.name == "int8" or not (folder / "network.safetensors").exists():
            continue
        # Each value of a grid becomes one of float16: their number, and so the bits, stays.
        state = load_tensors(folder / "network.safetensors")[0]
        tensors = {key: x.half().numpy() for key, x in state.items() if not key.endswith("num_batches_tracked")}
        np.savez_compressed(HERE / "weights" / f"{folder.name}.npz", facts=np.array(json.dumps(facts_of(folder))), **tensors)
        logs = sorted(folder.glob("tuning*/log.jsonl"))
        if logs:
            replace_file(HERE / "logs" / f"{folder.name}.jsonl", "".join(log.read_text() for log in logs))
        found.add(folder.name)
    return found


def facts_of(folder: Path) -> dict:
    """What of a run's result goes with its weights: ``steps`` that gave them their shape, ``bits``, and figures to be ``kept``."""
    result = json.loads((folder / "result.json").read_text())
    told = json.loads((folder / "told.json").read_text()) if (folder / "told.json").exists() else {}
    kept = {key: found[key] for found in (result, told) for key in ("batch 1", "batch 64", "accuracy_before_tuning") if key in found}
    steps = told.get("channels", [step for step in result.get("steps", []) if "root" in step])
    bits = next((step["bits"] for step in result.get("steps", []) if "bits" in step), None)
    return {"kept": kept, "steps": steps, "bits": bits}


def arm(dense: torch.nn.Module, file: Path) -> tuple[torch.nn.Module, dict]:
    """The network of that file."""
    with np.load(file) as arrays:
        facts = json.loads(str(arrays["facts"]))
        state = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "facts"}
    module = subject.shaped(copy.deepcopy(dense), facts["steps"])
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    missing = module.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys), missing
    return module.to(memory_format=torch.channels_last).eval(), facts


class Measured:
    """What the arms can and cost, measured from their weights.

    Args:
        shared: the folder with images and the published weights.
    """

    def __init__(self, shared: Path) -> None:
        self._data, self._dense = subject.images(shared), subject.resnet20(shared)
        self._folder = tempfile.TemporaryDirectory()
        self._prices = Prices(subject.samples(Path(self._folder.name), self._data))

    def arm(self, name: str, *, int8: bool = True) -> dict:
        """Accuracy as float32 and as INT8, MACs, mean bits if there are fewer, and ``energy``, ``without_zeros`` by machine and width."""
        module, facts = (self._dense, {}) if name == "dense" else arm(self._dense, HERE / "weights" / f"{name}.npz")
        bits = facts.get("bits")
        network = network_of(module, subject.EXAMPLE)
        found = {
            "accuracy": subject.accuracy(module, self._data.test),
            **({"accuracy_int8": self._int8(module)} if int8 else {}),
            "macs": sum(layer.nest.macs * layer.repeats for layer in network.layers if layer.nest),
            **self._prices.of(module, network, bits),
        }
        layers = weighted(module)
        if bits:
            counts = {layer: child.weight.numel() for layer, child in layers.items()}
            found["mean"] = sum(counts[layer] * bits[layer] for layer in bits) / sum(counts.values())
        zeros = sum(share * layers[layer].weight.numel() for layer, share in zero_shares(module).items())
        found["zeros"] = zeros / sum(child.weight.numel() for child in layers.values())
        return found | {key: value for key, value in facts.get("kept", {}).items() if key not in found}

    def _int8(self, module: torch.nn.Module) -> float:
        """Accuracy in ONNX Runtime, by the calibration that classifies the choosing images best."""
        folder = Path(self._folder.name)
        export_onnx(copy.deepcopy(module), subject.EXAMPLE, folder / "float32.onnx")
        calibration = [subject.normalised(self._data.train.pixels[i : i + 250]).numpy() for i in (0, 250)]
        best_calibration(
            folder / "float32.onnx", folder / "int8.onnx", calibration,
            lambda path: subject.accuracy(as_module(path), self._data.choose),
        )  # fmt: skip
        return subject.accuracy(as_module(folder / "int8.onnx"), self._data.test)



if __name__ == "__main__":
    sys.exit(main())
