"""Energy from counters: wraps, windows, idling, counters that stand still, and RAPL as zeus finds it."""

from __future__ import annotations

import pytest
from support.counter_traces import RAPL_RANGE_J, Machine, Trace, powercap

from picojoule.runtime import zeus_counter
from picojoule.runtime.energy import measured_energy, spent_j


def test_a_counter_that_wrapped_between_two_readings_counts_right():
    spent = spent_j({"package-0": RAPL_RANGE_J - 3.0}, {"package-0": 4.5}, {"package-0": RAPL_RANGE_J})
    assert spent == {"package-0": pytest.approx(7.5)}


def test_a_wrap_that_the_reader_noticed_late_counts_once():
    """zeus adds a whole range when its helper sees the wrap, which may be a reading after it happened."""
    wraps = {"d": 100.0}
    first, second, third = {"d": 99.0}, {"d": 2.0}, {"d": 105.0}
    assert spent_j(first, second, wraps)["d"] + spent_j(second, third, wraps)["d"] == pytest.approx(6.0)


def test_without_a_known_range_nothing_is_added():
    assert spent_j({"d": 5.0}, {"d": 3.0}, {"d": None}) == {"d": -2.0}


def test_energy_of_a_run_is_power_times_its_time_and_idling_is_told_apart():
    machine = Machine(idle_w=8.0, busy_w=30.0, run_s=0.01)
    found = measured_energy(machine.run, machine, windows=3, window_s=0.5, clock=machine.clock, sleep=machine.sleep)
    assert found.joules == pytest.approx(0.3)
    assert found.domains_j == {"package-0": pytest.approx(0.3)}
    assert found.idle_w == pytest.approx(8.0)
    assert found.runs == machine.runs and found.runs >= 150
    assert found.counter == "made-up meter" and found.reason == ""


def test_energy_across_a_wrap_in_the_middle_of_a_window():
    machine = Machine(idle_w=0.0, busy_w=30.0, run_s=0.01, start_j=RAPL_RANGE_J - 1.0)
    found = measured_energy(machine.run, machine, windows=2, window_s=0.5, clock=machine.clock, sleep=machine.sleep)
    assert found.windows_j == (pytest.approx(0.3), pytest.approx(0.3))


def test_a_counter_is_read_often_enough_not_to_wrap_twice():
    """At 2 kW this counter wraps every 25 s; the window is two minutes."""
    machine = Machine(idle_w=0.0, busy_w=2000.0, run_s=1.0, wraps_j={"package-0": 50_000.0})
    found = measured_energy(machine.run, machine, windows=1, window_s=120.0, clock=machine.clock, sleep=machine.sleep)
    assert found.joules == pytest.approx(2000.0)


def test_a_counter_that_stands_still_gives_no_energy():
    still = Trace(readings=[{"package-0": 5.0}] * 4, wraps_j={"package-0": None}, name="stuck")
    machine = Machine(idle_w=0, busy_w=0, run_s=1.0)
    found = measured_energy(machine.run, still, windows=1, window_s=0.5, clock=machine.clock, sleep=machine.sleep)
    assert found.joules is None
    assert found.reason == "stuck: the counter stood still while the network ran"


@pytest.fixture
def rapl(tmp_path, monkeypatch):
    """A folder in which zeus and we look for RAPL, and zeus without what it remembers."""
    pytest.importorskip("zeus", reason="zeus is not installed (pip install 'picojoule[measure]')")
    from zeus.device import cpu
    from zeus.device.cpu import rapl as theirs

    folder = tmp_path / "intel-rapl"
    folder.mkdir()
    monkeypatch.setattr(zeus_counter, "RAPL_FOLDERS", (str(folder),))
    monkeypatch.setattr(theirs, "RAPL_DIR", str(folder))
    monkeypatch.setattr(cpu, "_cpus", None)
    monkeypatch.delenv("ZEUSD_SOCK_PATH", raising=False)
    monkeypatch.delenv("ZEUSD_HOST_PORT", raising=False)
    theirs.rapl_is_available.cache_clear()
    yield folder
    theirs.rapl_is_available.cache_clear()


def test_zeus_finds_packages_and_their_memory(rapl):
    powercap(rapl, {
        "intel-rapl:0": ("package-0", 5_000_000, 262_143_328_850),
        "intel-rapl:0/intel-rapl:0:0": ("dram", 700_000, 65_712_999_613),
        "intel-rapl:0/intel-rapl:0:1": ("core", 1, 65_712_999_613),
        "intel-rapl:1": ("psys", 9_000_000, 262_143_328_850),
    })  # fmt: skip
    counter, reason = zeus_counter.open_counter()
    assert reason == "" and counter is not None
    # The platform's domain has the package in it: counting both would count it twice.
    assert counter.wraps_j == {"package-0": pytest.approx(262_143.32885), "dram-0": pytest.approx(65_712.999613)}
    assert counter.read_j() == {"package-0": pytest.approx(5.0), "dram-0": pytest.approx(0.7)}
    (rapl / "intel-rapl:0" / "energy_uj").write_text("5250000\n")
    assert counter.read_j()["package-0"] == pytest.approx(5.25)


def test_without_rapl_the_reason_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(zeus_counter, "RAPL_FOLDERS", (str(tmp_path / "none"),))
    monkeypatch.delenv("ZEUSD_SOCK_PATH", raising=False)
    counter, reason = zeus_counter.open_counter()
    assert counter is None
    assert reason.startswith("no energy counter: this machine shows no RAPL")


def test_a_counter_that_cannot_be_read_is_named(rapl):
    (rapl / "intel-rapl:0" / "energy_uj").mkdir(parents=True)  # reading a folder fails for root, too
    counter, reason = zeus_counter.open_counter()
    assert counter is None
    assert "can't be read" in reason and "energy_uj" in reason and "root" in reason
