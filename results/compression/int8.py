"""INT8 of ResNet-20: calibrations compared, accuracy, and time against float32 in ONNX Runtime, paired.

python results/compression/int8.py > results/compression/int8.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import network as subject

import picojoule


def main() -> None:
    bench = subject.Bench(__doc__)
    folder = bench.runs / "int8"
    found = picojoule.quantize(
        bench.dense, subject.EXAMPLE, hardware="eyeriss-methodology", output=folder, **bench.task,
    )  # fmt: skip
    result = {"choosing": found.steps[0]["calibrations"], "float32": found.accuracy_before, "int8": found.accuracy_after}
    for batch in (1, 64):
        times = subject.paired(folder / found.files["onnx"], folder / found.files["int8"], batch)
        result[f"batch {batch}"] = dict(zip(("float32_ms", "int8_ms", "ratio"), times.values(), strict=True))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
