"""The tables of what runs and is measured: bundles, runs, measurements, diagnoses, fits of devices, compressions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from support import onnx_exits
from support.synthetic_gpu import TRUE

from picojoule.compress.costs import Costs
from picojoule.compress.result import Compression
from picojoule.reporting.bundles import bundle_text
from picojoule.reporting.compressions import compression_text
from picojoule.reporting.device_fits import device_fit_text
from picojoule.reporting.fewer_classes import class_channels_text
from picojoule.reporting.ladder import Step, ladder_text
from picojoule.reporting.measurements import diagnosis_text, measurement_text
from picojoule.reporting.runs import run_text
from picojoule.runtime import export_bundle
from picojoule.runtime.device_fit import Deviation, DeviceFit, NetworkError
from picojoule.runtime.diagnosis import Check, Diagnosis
from picojoule.runtime.drift import Drift
from picojoule.runtime.energy import Energy
from picojoule.runtime.manifest import Parity
from picojoule.runtime.measurement import Measurement, NodeTime, Side, TableCheck, spread
from picojoule.runtime.operation import OperatingPoint, Operation
from picojoule.runtime.quantization import Quantization
from picojoule.runtime.session_latency import Histogram
from picojoule.runtime.session_run import Run
from picojoule.runtime.threads import Threads
from picojoule.workload import builtin_network
from picojoule.workload.class_channels import with_fewer_classes

WIDTHS = (80, 140)


def check(golden, name, text, width):
    for line in text.splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip(), repr(line)
    golden(f"{name}-{width}", text)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    source = onnx_exits.saved(folder / "net.onnx", onnx_exits.exits())
    made = export_bundle(source, folder / "net.bundle", energies_pj=(5.0, 7.0, 11.0), thresholds=(0.9, 0.8))
    parity = Parity(
        reference="onnxruntime on net.onnx", runtime="onnxruntime 1.2.3", inputs=8,
        max_abs_difference=(0.0, 1.2e-7, 2.4e-7), max_abs_reference=(3.0, 4.0, 5.0), tolerance=1e-4,
    )  # fmt: skip
    return replace(made, path=Path("net.bundle"), manifest=replace(made.manifest, parity=parity))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bundle(golden, width, bundle):
    check(golden, "bundle", bundle_text(bundle, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_of_a_bundle(golden, width, bundle):
    latency = Histogram()
    for seconds in (1.0e-3, 1.1e-3, 1.05e-3, 4.0e-3):
        latency.add(seconds)
    probabilities = np.array([[0.97, 0.02], [0.6, 0.3], [np.nan, np.nan], [0.85, 0.1]])
    run = Run(
        path="net.bundle", manifest=bundle.manifest, names=("cat.png", "dog.png", "bad.png", "owl.png"), exits=np.array([0, 2, 2, 1]),
        classes=np.array([[1, 0], [2, 3], [0, 1], [3, 2]]), probabilities=probabilities, labels=np.array([1, 2, 0, 1]),
        energy_pj=np.array([5.0, 23.0, 23.0, 12.0]), latency=latency, batch=1, threads=1, runtime="onnxruntime 1.2.3",
        policy="confidence ≥ 0.9, 0.8, never", wall_s=0.02, interrupted=False,
    )  # fmt: skip
    assert run.accuracy == 0.5 and run.not_numbers == 1
    check(golden, "run", run_text(run, width=width, color=False), width)


@pytest.fixture(scope="module")
def deployed(bundle):
    """The bundle with three operating points and stages of 8 bits; figures made up."""
    points = tuple(
        OperatingPoint(thresholds=limits, accuracy=accuracy, at_least=accuracy - 0.02, energy_j=energy, left=left)
        for limits, accuracy, energy, left in (
            ((0.0, 0.0), 0.71, 5e-6, (900, 0, 0)), ((0.8, 0.6), 0.83, 9.1e-6, (500, 300, 100)), ((None, 0.7), 0.86, 2.1e-5, (0, 150, 750)),
        )
    )  # fmt: skip
    operation = Operation(
        rule="margin", weights=((1.0,), (0.4, 0.9), (0.1, 0.3, 0.8)), energies_j=(5e-6, 1.2e-5, 2.3e-5), points=points, default=1,
        images=900, held_out=True, delta=0.1, machine="eyeriss-v1",
    )  # fmt: skip
    facts = Quantization(
        method="minmax", calibrated_on=512, compared_on=900, agreement=(0.99, 0.985, 0.98), max_abs_difference=(0.1, 0.2, 0.3),
        accuracy_before=(0.71, 0.82, 0.87), accuracy_after=(0.708, 0.819, 0.866),
    )  # fmt: skip
    return replace(bundle, manifest=replace(bundle.manifest, operation=operation, quantization=facts))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bundle_with_operating_points(golden, width, deployed):
    check(golden, "bundle-deployed", bundle_text(deployed, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_at_an_operating_point(golden, width, deployed):
    latency = Histogram()
    latency.add(1.0e-3)
    drift = Drift(after=640, samples=2640, expected=(0.556, 0.333, 0.111), found=(0.3, 0.3, 0.4), false_alarm=0.001, window=2000)
    run = Run(
        path="net.bundle", manifest=deployed.manifest, names=("0", "1"), exits=np.array([0, 2]), classes=np.array([[1, 0], [2, 3]]),
        probabilities=np.array([[0.97, 0.02], [0.6, 0.3]]), labels=None, energy_pj=np.array([5e6, 23e6]), latency=latency, batch=2,
        threads=1, runtime="onnxruntime 1.2.3", policy="margin combined, point 2 of 3", wall_s=0.02, interrupted=False,
        point=deployed.manifest.operation.points[1], wish="α 0.3", drift=drift,
    )  # fmt: skip
    check(golden, "run-deployed", run_text(run, width=width, color=False), width)


def side(model, scale, **more):
    return Side(model=model, latencies_s=tuple(scale * x for x in (1.0e-3, 1.02e-3, 1.1e-3, 0.99e-3)), interrupted=1, quiet_s=scale * 1e-3, **more)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_measurement(golden, width):
    nodes = tuple(NodeTime(name=f"conv{i}", op="Conv", seconds=spread([i * 1e-4, i * 1.1e-4]), share=i / 6) for i in (1, 2, 3))
    table = TableCheck(latency_s=1.05e-3, measured_s=1e-3, error=0.05, left_out=("pool",), measured_now=4)
    measured = Measurement(
        network=side("net.onnx", 1.0, nodes=nodes, energy=Energy(joules=None, reason="this machine has no counter"), table=table),
        against=side("pruned.onnx", 0.6), ratio=spread([0.6, 0.61, 0.59]), machine={"name": "a machine"}, runtime="onnxruntime 1.2.3",
        threads=Threads(count=1, cpus=(1,)), batch=1, warmup=10,
    )  # fmt: skip
    check(golden, "measurement", measurement_text(measured, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_diagnosis(golden, width):
    found = Diagnosis(
        machine="a machine", system="Linux 6 x86_64", python="3.11.2", picojoule="0.1.0", cpus=(0, 1), load=0.2,
        packages={"numpy": "2.3.4", "numba": None}, extras={"runtime": {"onnxruntime": "1.2.3", "Pillow": None}},
        checks=(
            Check(name="latency", ok=True, message="by onnxruntime 1.2.3"),
            Check(name="energy", ok=False, message="no RAPL counter: /sys/class/powercap is empty. Most virtual machines have none."),
        ),
    )  # fmt: skip
    check(golden, "diagnosis", diagnosis_text(found, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_fit_of_a_device(golden, width):
    networks = tuple(
        NetworkError(model=model, dtype="float16", batch=8, seconds=2e-3, seconds_error=error, joules=0.4, joules_error=-error)
        for model, error in (("resnet50", 0.013), ("mobilenet_v2", -0.02))
    )
    found = DeviceFit(
        table=TRUE, seconds=Deviation(median=0.01, worst=0.05, count=80), joules=Deviation(median=0.02, worst=0.06, count=80), networks=networks
    )
    check(golden, "device-fit", device_fit_text(found, width=width, color=False), width)


def compression(**other):
    before = Costs(macs=40_551_040, executed_macs=40_551_040, energy=3.7e8, unit="pJ", latency_s=1.2e-3, bytes=269_722, memory=65_536, measured_ms=0.4)
    after = replace(before, executed_macs=15_000_000.0, energy=1.8e8, measured_ms=0.41)
    made = Compression(
        model="mynets:resnet20", hardware="eyeriss-v2", method="prune by energy", budget="50%", kind="energy", limit=1.85e8, used=1.8e8, met=True,
        before=before, after=after, accuracy_before=0.9175, accuracy_after=0.9116, settings={}, steps=[], files={},
        remarks=["executed MACs and modelled energy improved; MACs and measured time did not."],
    )  # fmt: skip
    return replace(made, **other)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_compression(golden, width):
    check(golden, "compression", compression_text(compression(), width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_tickets(golden, width):
    def row(what, kind, number, share, accuracy):
        return {"what": what, "kind": kind, "round": number, "share": share, "accuracy": accuracy, "chosen": accuracy}

    trained = [row("dense", "", 0, 1.0, 0.6918)]
    for kind, share, down in (("weights", 0.2, 0.0), ("channels", 0.231, 0.04)):
        trained += [
            row("ticket", kind, 1, 0.4472, 0.6963 - down), row("ticket", kind, 2, share, 0.688 - down),
            row("reinitialised", kind, 2, share, 0.65 - down), row("random mask", kind, 2, share, 0.64 - down),
        ]  # fmt: skip

    def machine(name, minds, unit, dense, weights, channels):
        energy = {"dense": dense, "weights": weights, "channels": channels}
        return {"machine": name, "minds_zeros": minds, "unit": unit, "energy": energy}

    tickets = {
        "rewind": 500, "handed_over": "weights", "met": {"weights": True, "channels": True}, "rows": trained,
        "energies": [
            machine("eyeriss-v2", True, "pJ", 4.49e6, 1.9e6, 1.2e6), machine("eyeriss-methodology", True, "mac16", 4.57e6, 1.8e6, 1.2e6),
            machine("eyeriss-like-45nm", False, "pJ", 4.54e6, 4.54e6, 1.18e6),
        ],
        "milliseconds": {"weights": [0.16, 0.161], "channels": [0.16, 0.07]},
    }  # fmt: skip
    result = compression(method="prune by lottery", tickets=tickets, remarks=[])
    check(golden, "tickets", compression_text(result, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_fewer_classes(golden, width):
    names = ["cat", "dog", "ship", "truck"]

    def others(network, threshold, kept, accepted, auroc):
        row = {"network": network, "threshold": threshold, "kept_rejected": kept, "others_accepted": accepted, "auroc": auroc}
        return row | {"accepted_as": dict(zip(names, (0.5, 0.3, 0.15, 0.05), strict=True))}

    classes = {
        "kept": [3, 5, 8, 9], "names": names, "head": "linear", "images": {"kept": 3200, "others": 4800},
        "accuracy": {"all classes": 0.9053, "the new head": 0.9412, "in the end": 0.9231},
        "calibration": {"temperature": 1.234, "batchnorm": {"as_trained": 0.93, "taken_anew": 0.92, "taken": False}},
        "others": [
            others("all classes", None, 0.0947, 0.061, None), others("the new head", 0.7012, 0.05, 0.42, 0.89),
            others("in the end", 0.6801, 0.052, 0.51, 0.871),
        ],
    }  # fmt: skip
    result = compression(classes=classes, remarks=[])
    check(golden, "fewer-classes", compression_text(result, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_ladder(golden, width):
    steps = [
        Step(name="dense", energy=2.554e8, accuracy=0.9175, note="16 bits"),
        Step(name="INT8", energy=1.494e8, accuracy=0.9176, note="ONNX Runtime, percentile"),
        Step(name="pruned", energy=7.1e7, accuracy=0.8926, note="channels and weights, INT8"),
        Step(name="4 classes", energy=3.4e7, accuracy=0.93, note="cat, dog, ship, truck; accuracy on these"),
    ]
    text = ladder_text("ResNet-20", "eyeriss-methodology", "mac16", steps, width=width, color=False)
    check(golden, "ladder", text, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_class_channels(golden, width):
    found = with_fewer_classes(builtin_network("ssd_vgg16:360x480"), 21, 5)
    check(golden, "class-channels", class_channels_text(found, width=width, color=False), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_an_adaptation(golden, width):
    before = Costs(macs=40_551_040, executed_macs=40_551_040, energy=None, unit="pJ", latency_s=None, bytes=1_078_888, memory=None, measured_ms=0.4)
    after = replace(before, macs=29_000_000, executed_macs=29_000_000, bytes=800_000, measured_ms=0.28)
    steps = [
        {"root": root, "before": was, "channels": now, "costs": [seconds], "accuracy": accuracy, "proposals": [{}] * 8}
        for root, was, now, seconds, accuracy in (("layer2.0.conv1", 32, 24, 3.6e-4, 0.911), ("layer3.0.conv1", 64, 40, 2.9e-4, 0.9052))
    ]
    budget = {"budget": "0.3ms", "kind": "measured latency", "where": "measured", "unit": "s", "start": 4e-4, "limit": 3e-4, "used": 2.95e-4}
    result = Compression(
        model="mynets:resnet20", hardware="measured", method="adapt by netadapt", budget="0.3ms", kind="measured latency", limit=3e-4, used=2.95e-4,
        met=True, before=before, after=after, accuracy_before=0.9175, accuracy_after=0.9123, settings={}, steps=steps, files={}, remarks=[],
        budgets=[budget],
    )  # fmt: skip
    check(golden, "adaptation", compression_text(result, width=width, color=False), width)
