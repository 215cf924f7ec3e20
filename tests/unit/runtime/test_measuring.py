"""Measuring a network: what a measurement holds, two networks in turn, a meter, a runner that fails halfway."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from support.counter_traces import Trace
from support.small_onnx import small_network

from picojoule.errors import ModelError, SystemFailure, UnknownNameError, UsageError
from picojoule.runtime import LatencyTable, energy, measure
from picojoule.runtime.measurement import spread
from picojoule.runtime.threads import pinned, usable_cpus


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_network(tmp_path / "small.onnx")


def test_latency_nodes_memory_and_no_energy_without_a_meter(small, monkeypatch):
    monkeypatch.setattr("picojoule.runtime.zeus_counter.RAPL_FOLDERS", ("/nowhere",))
    monkeypatch.delenv("ZEUSD_SOCK_PATH", raising=False)
    found = measure(small, runs=4, warmup=1)
    side = found.network
    assert len(side.latencies_s) == 4 and min(side.latencies_s) > 0
    assert side.latency_s.q1 <= side.latency_s.median <= side.latency_s.q3
    # The runtime shows the first under the name of the activation that it fused into it.
    assert [(n.name, n.op) for n in side.nodes if n.op in ("Conv", "FusedConv", "Gemm")] == [
        ("first", side.nodes[0].op), ("second", side.nodes[1].op), ("fc", "Gemm"),
    ]  # fmt: skip
    assert sum(node.share for node in side.nodes) == pytest.approx(1.0)
    assert {node.seconds.samples for node in side.nodes} == {4}
    assert side.peak_memory.bytes is not None and side.peak_memory.process_bytes > side.peak_memory.bytes
    assert side.energy.joules is None and side.energy.reason.startswith("no energy counter")
    assert found.threads.count == 1 and len(found.threads.cpus) == 1 and found.threads.cpus[0] in usable_cpus()
    assert found.runtime.startswith("onnxruntime ") and found.failed is None and found.against is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_two_networks_run_in_turn_and_their_ratio_is_of_pairs(small, tmp_path):
    large = small_network(tmp_path / "large.onnx", channels=512)
    found = measure(small, against=large, runs=6, warmup=1)
    assert len(found.network.latencies_s) == len(found.against.latencies_s) == 6
    pairs = [b / a for a, b in zip(found.network.latencies_s, found.against.latencies_s, strict=True)]
    assert min(pairs) <= found.ratio.least <= found.ratio.most <= max(pairs)
    assert found.ratio.median > 1


def test_a_meter_of_ones_own(small, monkeypatch):
    readings = [{"rail": float(n)} for n in range(100)]
    monkeypatch.setattr(
        "picojoule.runtime.measuring.measured_energy",
        lambda run, counter: energy.measured_energy(run, counter, windows=2, window_s=0.01),
    )
    found = measure(small, runs=2, counter=Trace(readings=readings, wraps_j={"rail": None}, name="INA219"))
    assert found.network.energy.counter == "INA219"
    # One joule between any two readings: a window's runs share it.
    assert found.network.energy.joules == pytest.approx(sorted(found.network.energy.windows_j)[1])
    assert 0 < found.network.energy.joules <= 1


def test_the_batch_of_a_file_that_leaves_it_open(tmp_path):
    opened = small_network(tmp_path / "open.onnx", batch="n")
    assert measure(opened, batch=3, runs=1).batch == 3
    with pytest.raises(UsageError, match="has a batch of 1 in the file"):
        measure(small_network(tmp_path / "fixed.onnx"), batch=3, runs=1)


def test_sizes_that_do_not_fit(small):
    with pytest.raises(UsageError, match=r"input 'image' is \[1, 3, 16, 16\], not 1x3x32x32"):
        measure(small, shape={"image": (1, 3, 32, 32)}, runs=1)
    with pytest.raises(UsageError, match="has no input 'picture'"):
        measure(small, shape={"picture": (1, 3, 16, 16)}, runs=1)


def test_a_module_is_exported(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    found = measure(module, torch.zeros(1, 3, 8, 8), runs=2, warmup=0)
    assert found.network.model == "Sequential" and len(found.network.latencies_s) == 2


def test_what_cannot_be_run(tmp_path):
    with pytest.raises(UsageError, match="resnet18 is a built-in network: shapes of layers"):
        measure("resnet18")
    with pytest.raises(UnknownNameError, match="there is no file 'none.onnx'"):
        measure("none.onnx")
    with pytest.raises(UsageError, match="a model of type int can't be run"):
        measure(3)
    (tmp_path / "bad.onnx").write_bytes(b"\x08nonsense")
    with pytest.raises(ModelError, match="onnxruntime can't load it"):
        measure(tmp_path / "bad.onnx")
    (tmp_path / "table.yaml").write_text("name: x")
    with pytest.raises(UsageError, match=".yaml files can't be run by ONNX Runtime"):
        measure(tmp_path / "table.yaml")


def test_more_threads_than_processors():
    with pytest.raises(UsageError, match="1000 threads, and this process may use"), pinned(1000):
        pass


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't hold a process on processors")
def test_the_process_is_free_again_afterwards():
    before = os.sched_getaffinity(0)
    with pinned(1) as held:
        assert os.sched_getaffinity(0) == set(held.cpus) and len(held.cpus) == 1
    assert os.sched_getaffinity(0) == before


def flaky(folder: Path, good: int, then: str) -> str:
    """A command that gives 1 ms, 2 ms, … so many times, and then runs ``then``."""
    file, count = folder / "flaky.py", folder / "count"
    file.write_text(
        f"import pathlib, sys, time\ncount = pathlib.Path({str(count)!r})\nn = int(count.read_text()) + 1 if count.exists() else 1\n"
        f'count.write_text(str(n))\nif n > {good}:\n    {then}\nprint(\'{{"ms": %d, "joules": 0.5}}\' % n)\n'
    )
    return f"{sys.executable} {file} {{onnx}}"


@pytest.mark.parametrize(
    ("then", "code", "exit_code"),
    [("sys.exit(3)", "system", "4"), ("time.sleep(60)", "system", "4"), ("print('?'); sys.exit(0)", "input", "3")],
)
def test_a_runner_that_fails_halfway_leaves_what_was_measured(small, tmp_path, then, code, exit_code):
    found = measure(small, runner=flaky(tmp_path, 2, then), timeout=2.0)
    assert found.network.latencies_s == (0.001, 0.002)
    assert found.failed["code"] == code and found.failed["exit_code"] == exit_code
    assert found.network.energy.joules == 0.5


def test_a_runner_that_fails_at_once_is_an_error(small, tmp_path):
    with pytest.raises(SystemFailure, match="ended with exit code 3"):
        measure(small, runner=flaky(tmp_path, 0, "sys.exit(3)"))


def test_a_runner_measures_two_files_in_turn(small, tmp_path):
    other = small_network(tmp_path / "other.onnx")
    found = measure(small, against=other, runner=flaky(tmp_path, 99, "pass"), runs=2)
    # Calls 1 to 4 take 1 to 4 ms; the second round begins with the other.
    assert found.network.latencies_s == (0.001, 0.004)
    assert found.against.latencies_s == (0.002, 0.003)
    assert found.runtime.endswith("{onnx}") and found.threads is None and found.machine == {}


def test_what_a_runner_cannot_take(small):
    with pytest.raises(UsageError, match="a runner measures the file as it is"):
        measure(small, runner="bench {onnx}", batch=2)


def test_ctrl_c_keeps_what_was_measured(small, monkeypatch):
    from picojoule.runtime.timed_session import TimedSession

    real, calls = TimedSession.run, []

    def interrupted(self):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(TimedSession, "run", interrupted)
    found = measure(small, runs=50, warmup=2)
    assert len(found.network.latencies_s) == 3
    assert found.failed["code"] == "interrupted"


def test_the_table_is_checked_against_the_network(small, tmp_path, monkeypatch):
    monkeypatch.setitem(LatencyTable.__init__.__kwdefaults__, "rounds", 1)
    found = measure(small, runs=2, table=tmp_path / "t.sqlite")
    check = found.network.table
    assert check.measured_now >= 3 and check.latency_s > 0
    assert check.error is None or check.error == pytest.approx(check.latency_s / check.measured_s - 1)
    assert measure(small, runs=2, table=tmp_path / "t.sqlite").network.table.measured_now == 0


def test_quartiles():
    found = spread([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (found.least, found.q1, found.median, found.q3, found.most, found.samples) == (1.0, 2.0, 3.0, 4.0, 5.0, 5)
    assert spread([7.0]).q1 == 7.0
