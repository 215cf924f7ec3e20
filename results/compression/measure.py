"""Accuracies and energies of the arms that were trained, from their weights rounded to float16; claims.json, the table in README.md, and
the front as a picture (front.svg) and as a page with its table (front.html).

    python results/compression/measure.py                  all arms whose runs are there
    python results/compression/measure.py --from-weights   without runs: from weights/ beside this file

Energies of pruned weights are those of the mappings found for the dense network, whose zeros alone changed: a new search finds no more.
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
from evidence import claims_of, front_data, front_svg, table_of

import picojoule
from picojoule.atomic_file import replace_file
from picojoule.compress.energies import LayerEnergies
from picojoule.frontends import load_zeros
from picojoule.train.checkpoint import load_tensors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MACHINES = ("eyeriss-methodology", "eyeriss-v2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    parser.add_argument("--from-weights", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.from_weights:
        keep_weights(given.runs)
    data, dense = subject.images(given.shared), subject.resnet20(given.shared)
    prices = Prices(data)
    path = HERE / "arms.json"
    arms = json.loads(path.read_text()) if path.exists() else {}
    if "dense" not in arms:
        arms["dense"] = {"accuracy": subject.accuracy(dense, data.test), **prices.of(dense)}
    for file in sorted((HERE / "weights").glob("*.npz")):
        if file.stem in arms:
            continue
        module, facts = arm(dense, file)
        arms[file.stem] = {
            "accuracy": subject.accuracy(module, data.test),
            **prices.of(module, facts.get("bits")),
            **facts["kept"],
        }
        replace_file(path, json.dumps(arms, indent=1) + "\n")
        print(file.stem, json.dumps(arms[file.stem]), flush=True)
    replace_file(path, json.dumps(arms, indent=1) + "\n")
    extra = {
        name: json.loads((HERE / f"{name}.json").read_text())
        for name in ("int8", "squeezenet")
        if (HERE / f"{name}.json").exists()
    }
    replace_file(HERE / "claims.json", json.dumps(claims_of(arms, extra), indent=1) + "\n")
    replace_file(HERE / "front.svg", front_svg(arms))
    replace_file(HERE / "front.json", json.dumps(front_data(arms), indent=1) + "\n")
    replace_file(HERE / "front.html", picojoule.report(HERE / "front.json"))
    readme = HERE / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition("<!-- printed by measure.py -->")
    tail = rest.partition("<!-- end -->")[2]
    replace_file(readme, f"{head}<!-- printed by measure.py -->\n{table_of(arms)}\n<!-- end -->{tail}")


def keep_weights(runs: Path) -> None:
    """Copies the weights of every finished run, as float16, beside this file, with what its log says."""
    (HERE / "weights").mkdir(exist_ok=True)
    (HERE / "logs").mkdir(exist_ok=True)
    for path in sorted(runs.glob("*/result.json")):
        folder = path.parent
        if not (folder / "network.safetensors").exists():
            continue
        # Each value of a grid becomes one of float16: their number, and so the bits, stays.
        state = load_tensors(folder / "network.safetensors")[0]
        tensors = {key: x.half().numpy() for key, x in state.items() if not key.endswith("num_batches_tracked")}
        np.savez_compressed(HERE / "weights" / f"{folder.name}.npz", facts=np.array(json.dumps(facts_of(folder))), **tensors)
        logs = sorted(folder.glob("tuning*/log.jsonl"))
        if logs:
            replace_file(HERE / "logs" / f"{folder.name}.jsonl", "".join(log.read_text() for log in logs))


def facts_of(folder: Path) -> dict:
    """What of a run's result goes with its weights: ``steps`` that gave them their shape, ``bits``, and figures to be ``kept``."""
    result = json.loads((folder / "result.json").read_text())
    told = json.loads((folder / "told.json").read_text()) if (folder / "told.json").exists() else {}
    kept = {key: found[key] for found in (result, told) for key in ("batch 1", "batch 64", "macs", "accuracy_before_tuning") if key in found}
    steps = told.get("channels", [step for step in result.get("steps", []) if "root" in step])
    bits = next((step["bits"] for step in result.get("steps", []) if "bits" in step), None)
    if told:
        kept["accuracy_int8"] = result["accuracy_int8"]
    if bits is not None:
        kept["mean"] = result["used"]
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


class Prices:
    """Energies at 16 and 8 bits on both machines, with zeros measured on choosing images."""

    def __init__(self, data: object) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._samples = subject.samples(Path(self._folder.name), data)
        self._found: dict[str, tuple] = {}

    def _searched(self, module: torch.nn.Module) -> tuple:
        network = picojoule.load_model(module, subject.EXAMPLE)
        return network, {
            (name, bits): picojoule.estimate(network, hardware=name, bits=bits) for name in MACHINES for bits in (16, 8)
        }

    def of(self, module: torch.nn.Module, bits: dict | None = None) -> dict:
        """``energy``: with all zeros; ``without_zeros``: with none. By machine and bits."""
        from dataclasses import replace

        shapes = str({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()})
        if shapes not in self._found:
            self._found[shapes] = self._searched(module)
        network, found = self._found[shapes]
        zeros = load_zeros(module, subject.EXAMPLE, network=network, sparsity="measured", data=self._samples).zeros
        energy, plain = {}, {}
        for (name, width), estimate in found.items():
            layers = LayerEnergies(network, picojoule.load_hardware(name), estimate, zeros)
            own = {
                layer: replace(layers.bits[layer], weights=few) for layer, few in (bits or {}).items() if few < width
            }
            energy[f"{name}:{width}"] = layers.total(bits=own)
            plain[f"{name}:{width}"] = estimate.energy_pj
        return {"energy": energy, "without_zeros": plain}


if __name__ == "__main__":
    main()
