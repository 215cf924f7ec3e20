"""All of it on one network: that with fewer channels and blocks (channels.py), zeros within an energy budget at 8 bits, fine-tuned, INT8.

    python results/compression/together.py --share 0.327

--share is of the energy that the dense network takes at 8 bits, its zeros not counted. Broken off and started again, it goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule
from picojoule.compress.handover import flush
from picojoule.compress.stages import Stages
from picojoule.train import load_tensors


def main() -> None:
    def options(parser) -> None:
        parser.add_argument("--share", type=float, default=0.327)
        parser.add_argument("--channels", default="channels-E", help="The run of channels.py to begin with.")
        parser.add_argument("--machine", default="eyeriss-methodology")

    bench = subject.Bench(__doc__, epochs=4, rate=1e-3, options=options)
    given, start = bench.given, bench.runs / bench.given.channels
    steps = json.loads((start / "result.json").read_text())["steps"]
    small = subject.shaped(bench.dense, steps)
    small.load_state_dict(load_tensors(start / "network.safetensors")[0])
    flush(small)
    searched = Stages(bench.runs / f"dense-{given.machine}-8", {"machine": given.machine}).figures(
        "energy", lambda: picojoule.estimate(bench.dense, subject.EXAMPLE, hardware=given.machine, bits=8).energy_pj
    )
    folder = bench.runs / f"together-{given.share:g}"
    result = picojoule.prune(
        small.to(memory_format=torch.channels_last), subject.EXAMPLE, hardware=given.machine,
        budget=f"{given.share * searched:.8g} pJ", bits=8, teacher=bench.dense, output=folder, **bench.task,
    )  # fmt: skip
    dense = start / "dense.onnx"
    told = {
        "channels": steps, "share": result.used / searched, "met": result.met, "accuracy": result.accuracy_int8,
        "accuracy_float32": result.accuracy_after, "macs": result.after.macs,
    }  # fmt: skip
    for batch in (1, 64):
        told[f"batch {batch}"] = subject.paired(dense, folder / "int8.onnx", batch)
    (folder / "told.json").write_text(json.dumps(told))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
