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
from picojoule.reporting.measurements import diagnosis_text, measurement_text
from picojoule.reporting.runs import run_text
from picojoule.runtime import export_bundle
from picojoule.runtime.device_fit import Deviation, DeviceFit, NetworkError
from picojoule.runtime.diagnosis import Check, Diagnosis
from picojoule.runtime.energy import Energy
from picojoule.runtime.manifest import Parity
from picojoule.runtime.measurement import Measurement, NodeTime, Side, TableCheck, spread
from picojoule.runtime.session_latency import Histogram
from picojoule.runtime.session_run import Run
from picojoule.runtime.threads import Threads

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


@pytest.mark.parametrize("width", WIDTHS)
def test_a_compression(golden, width):
    before = Costs(macs=40_551_040, executed_macs=40_551_040, energy=3.7e8, unit="pJ", latency_s=1.2e-3, bytes=269_722, memory=65_536, measured_ms=0.4)
    after = replace(before, executed_macs=15_000_000.0, energy=1.8e8, measured_ms=0.41)
    result = Compression(
        model="mynets:resnet20", hardware="eyeriss-v2", method="prune by energy", budget="50%", kind="energy", limit=1.85e8, used=1.8e8, met=True,
        before=before, after=after, accuracy_before=0.9175, accuracy_after=0.9116, settings={}, steps=[], files={},
        remarks=["executed MACs and modelled energy improved; MACs and measured time did not."],
    )  # fmt: skip
    check(golden, "compression", compression_text(result, width=width, color=False), width)


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
