"""What doctor says about this machine, and about others that it pretends to be on."""

from __future__ import annotations

import json

from picojoule.runtime import diagnosis
from picojoule.runtime.diagnosis import diagnose
from picojoule.runtime.latency_store import Context, LatencyStore, Timing
from picojoule.runtime.layer_models import LayerShape
from picojoule.workload.nest import Nest


def checks() -> dict[str, diagnosis.Check]:
    return {check.name: check for check in diagnose().checks}


def test_every_line_says_something_and_it_is_plain_data():
    found = diagnose()
    assert [check.name for check in found.checks] == [
        "latency",
        "threads",
        "memory",
        "energy",
        "gpu",
        "quiet",
        "clock",
        "table",
    ]
    assert all(check.message for check in found.checks)
    assert found.packages["numpy"] and set(found.extras) == {"torch", "runtime", "report", "study", "measure"}
    json.dumps(found.to_dict())


def test_no_meter_is_told_with_its_reason(monkeypatch):
    monkeypatch.setattr("picojoule.runtime.zeus_counter.open_counter", lambda: (None, "no energy counter: none here"))
    energy = checks()["energy"]
    assert not energy.ok and energy.message == "no energy counter: none here; --runner measures where there is a meter"


def test_a_meter_is_told_with_its_domains(monkeypatch):
    class Meter:
        name, wraps_j = "RAPL by zeus", {"package-0": 1.0, "dram-0": None}

    monkeypatch.setattr("picojoule.runtime.zeus_counter.open_counter", lambda: (Meter(), ""))
    assert checks()["energy"] == diagnosis.Check(name="energy", ok=True, message="RAPL by zeus: package-0, dram-0")


def test_a_busy_machine(monkeypatch):
    monkeypatch.setattr(diagnosis, "usable_cpus", lambda: (0, 1))
    monkeypatch.setattr(diagnosis, "load_average", lambda: 3.0)
    assert checks()["quiet"] == diagnosis.Check(
        name="quiet", ok=False, message="load 3.0 on 2 processors: other programs disturb what is measured"
    )
    monkeypatch.setattr(diagnosis, "load_average", lambda: 0.2)
    assert checks()["quiet"].ok


def test_a_clock_that_moves(tmp_path, monkeypatch):
    (tmp_path / "scaling_governor").write_text("powersave\n")
    monkeypatch.setattr(diagnosis, "_GOVERNORS", str(tmp_path / "*"))
    assert checks()["clock"].message.startswith("governor powersave: the clock moves")


def test_the_look_up_table_is_counted_and_a_broken_one_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PICOJOULE_CACHE_DIR", str(tmp_path))
    assert "no look-up table yet" in checks()["table"].message
    shape, timing = LayerShape("fc", Nest(C=8, K=8)), Timing(seconds=1.0, q1_s=1.0, q3_s=1.0, samples=1)
    LatencyStore(tmp_path / "latency.sqlite").put(Context(machine="m", runtime="r", threads=1), [(shape, timing)])
    assert checks()["table"].message.startswith("1 layer shapes from 1 machines")
    (tmp_path / "latency.sqlite").write_text("broken " * 1000)
    assert not checks()["table"].ok
