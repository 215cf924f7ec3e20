"""Records what `picojoule hardware fit` needs: products of matrices, copies and networks on a CUDA GPU, timed and metered.

NOT RUN so far: no GPU was at hand when this was written. Nothing in this repository was measured with it; the fit is tested on
a synthetic machine (``tests/unit/runtime/test_device_fit.py``). Run it from the checkout, where there is a GPU, with PyTorch for
CUDA and zeus (``pip install 'picojoule[measure]'``):

    python benchmarks/gpu_microbenchmarks.py results/gpu/microbenchmarks.json
    picojoule hardware fit results/gpu/microbenchmarks.json

Latency is the median of runs between CUDA events. Energy is that of the whole GPU by its own counter (NVML, through zeus) over two
seconds of runs one after the other, divided by their number; idling is in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DTYPES = ("float32", "float16", "bfloat16")
MATMULS = [(m, n, k) for m in (16, 128, 1024, 8192) for n in (64, 512, 4096) for k in (32, 256, 2048)]
COPY_BYTES = [2**size for size in range(12, 33, 2)]
"""Read plus written."""
BATCHES = (1, 8, 32, 128)
NETWORKS = {"resnet50": "resnet50", "mobilenet_v2": "mobilenet_v2", "vit_b16": "vit_b16"}
"""What the models in tests/support are called there, and what `picojoule.load_model` calls them."""
WARMUP, RUNS, WINDOW_S = 10, 30, 2.0


def timed(torch: Any, monitor: Any, run: Callable[[], object]) -> dict[str, float | None]:
    """Median seconds of a run, and joules of one over a window."""
    for _ in range(WARMUP):
        run()
    torch.cuda.synchronize()
    pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(RUNS)]
    for begin, end in pairs:
        begin.record()
        run()
        end.record()
    torch.cuda.synchronize()
    seconds = sorted(begin.elapsed_time(end) / 1000 for begin, end in pairs)[RUNS // 2]
    if monitor is None:
        return {"seconds": seconds, "joules": None}
    count = max(1, int(WINDOW_S / seconds))
    monitor.begin_window("work")
    for _ in range(count):
        run()
    joules = monitor.end_window("work").total_energy / count
    return {"seconds": seconds, "joules": joules if joules > 0 else None}


def network(torch: Any, name: str) -> tuple[Any, tuple[int, ...]]:
    """A network of the test suite with random weights, and the shape of one input."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.torch_networks import mobilenet_v2, resnet
    from support.torch_transformers import VisionTransformer

    build = {
        "resnet50": lambda: resnet((3, 4, 6, 3), bottleneck=True),
        "mobilenet_v2": mobilenet_v2,
        "vit_b16": VisionTransformer,
    }[name]
    torch.manual_seed(0)
    return build().eval(), (3, 224, 224)


def main(path: Path) -> int:
    """Writes the file; says so and does nothing where there is no GPU."""
    try:
        import torch
    except ImportError:
        print("not run: PyTorch is not installed")
        return 0
    if not torch.cuda.is_available():
        print("not run: no CUDA GPU here")
        return 0
    try:
        from zeus.monitor import ZeusMonitor

        monitor = ZeusMonitor(gpu_indices=[torch.cuda.current_device()], cpu_indices=[])
    except ImportError:
        print("zeus is not installed: latency only", file=sys.stderr)
        monitor = None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = {
        "name": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(), "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip
    copies, matmuls, networks = [], [], []
    with torch.no_grad():
        for size in COPY_BYTES:
            source = torch.empty(size // 2, dtype=torch.uint8, device="cuda")
            target = torch.empty_like(source)
            copies.append({"bytes": size, **timed(torch, monitor, lambda s=source, t=target: t.copy_(s))})
        for dtype in DTYPES:
            kind = getattr(torch, dtype)
            for m, n, k in MATMULS:
                a, b = torch.randn(m, k, device="cuda", dtype=kind), torch.randn(k, n, device="cuda", dtype=kind)
                matmuls.append(
                    {"dtype": dtype, "m": m, "n": n, "k": k, **timed(torch, monitor, lambda a=a, b=b: a @ b)}
                )
            for ours, model in NETWORKS.items():
                net, shape = network(torch, ours)
                net = net.to("cuda", kind).to(memory_format=torch.channels_last)
                for batch in BATCHES:
                    x = torch.randn(batch, *shape, device="cuda", dtype=kind).to(memory_format=torch.channels_last)
                    networks.append(
                        {
                            "model": model,
                            "dtype": dtype,
                            "batch": batch,
                            **timed(torch, monitor, lambda n=net, x=x: n(x)),
                        }
                    )
            print(f"{dtype}: {len(matmuls)} products, {len(networks)} networks so far", file=sys.stderr)
    data = {
        "schema": "picojoule/microbenchmarks/1",
        "device": device,
        "copy": copies,
        "matmul": matmuls,
        "networks": networks,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "gpu_microbenchmarks.json")))
