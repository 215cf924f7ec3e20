"""``picojoule complexity validate``: its outputs, its refusals, and a run that is killed and goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from picojoule.hardware import load_hardware
from picojoule.jobs import Journal
from picojoule.search.layer import search_layer
from picojoule.search.policy import Exact
from picojoule.study.validation import SWEEPS
from picojoule.study.validation.sweeps import Convolution, Sweep

SMALL = tuple(
    Sweep(parameter=sweep.parameter, values=sweep.values[:5], power=sweep.power) for sweep in SWEEPS
)
"""Five points of each sweep, for what doesn't need them all."""


@pytest.fixture
def small(monkeypatch):
    """Makes the experiment small, in this process."""
    import picojoule.study.validation as package
    from picojoule.study.validation import findings, validate

    for module in (package, validate, findings):
        monkeypatch.setattr(module, "SWEEPS", SMALL)


@pytest.fixture
def validate(run, small):
    return lambda *more: run("complexity", "validate", "--hardware", "simba-like-45nm", *more)


def reference(folder: Path, *, cheap: float = 1.0, mac_pj: float = 0.5608) -> Path:
    """Made-up measurements of the small experiment: energy as the laws have it, at ``cheap`` times 10 pJ a MAC."""
    names = {"d": "energy_d", "n": "energy_inputs", "r": "energy_kernels", "s": "energy_stride"}
    data = folder / "data"
    data.mkdir()
    for sweep in SMALL:
        lines = []
        for value in sweep.values:
            macs = sweep.layer(value).nest.macs
            # Rounded so that total = MACs + data to the last digit.
            part, whole = macs * mac_pj, macs * mac_pj + macs * 10 * cheap
            lines.append(f"{value};{whole!r};{part!r};{whole - part!r};0;0")
        (data / f"simba_{names[sweep.parameter]}.csv").write_text("\n".join(lines), encoding="utf-8")
    return data


def test_the_table_and_the_result_file(validate, folder):
    ran = validate()
    assert ran.exit_code == 0
    assert "20 points, all proved" in ran.stdout
    assert "s 1…5, x = 1/s" in ran.stdout
    assert "authors" not in ran.stdout.replace("the authors'", "")
    saved = json.loads((folder / "complexity.simba-like-45nm.json").read_text(encoding="utf-8"))
    assert saved["schema"] == "picojoule/complexity-validation/1"
    assert [sweep["parameter"] for sweep in saved["sweeps"]] == ["d", "n", "r", "s"]
    assert (saved["duel"], saved["random"], saved["sweeps"][0]["theirs"]) == (None, None, None)
    assert not list(folder.glob("*.journal"))
    assert "wrote complexity.simba-like-45nm.json" in ran.stderr


def test_json_is_the_result_file_and_csv_has_every_point(validate, folder):
    document = json.loads(validate("--format", "json", "--save", "kept.json").stdout)
    assert document == json.loads((folder / "kept.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO(validate("--format", "csv", "--no-save").stdout)))
    assert len(rows) == 20 and {row["whose"] for row in rows} == {"ours"}
    first = document["sweeps"][0]["ours"]
    assert (float(rows[0]["energy"]), float(rows[0]["data"])) == (first["energy"][0], first["data"][0])
    assert validate("--format", "md", "--no-save").stdout.startswith("## simba-like-45nm\n")


def test_beside_a_reference_both_stand_and_the_duel_is_told(validate, folder):
    ran = validate("--reference", reference(folder), "--no-save")
    assert ran.exit_code == 0
    assert "our optimum ≤ the authors' energy at 20 of 20 points" in ran.stdout
    assert ran.stdout.count("authors'  ") == 4
    assert "data take 95–95 % of the energy in the authors' data, not 70 %" in ran.stdout


def test_points_that_are_lost_are_listed(validate, folder):
    ran = validate("--reference", reference(folder, cheap=0.1), "--no-save")
    assert "our optimum ≤ the authors' energy at 0 of 20 points" in ran.stdout
    assert ran.stdout.count(" lost ") == 20
    assert "d = 8: theirs ÷ ours 0." in ran.stdout


def test_charts_show_points_and_law(validate, folder):
    (folder / "charts").mkdir()
    ran = validate("--charts", "charts", "--reference", reference(folder), "--no-save")
    assert ran.exit_code == 0
    names = {path.name for path in (folder / "charts").iterdir()}
    assert names == {f"simba-like-45nm.{parameter}.svg" for parameter in "dnrs"}
    for name in names:
        drawn = (folder / "charts" / name).read_text(encoding="utf-8")
        assert drawn.startswith("<svg") and "law y = a + b" in drawn
        assert drawn.count('aria-roledescription="point"') + drawn.count('aria-roledescription="circle"') == 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--random", "50"], 2, "random: random layers are the authors'"),
        (["--seed", "3"], 2, "--seed: --seed draws among random layers"),
        (["--random", "many"], 2, "--random: 'many' is neither a whole number nor all"),
        (["--reference", "empty"], 2, "there is no file simba_energy_d.csv"),
        (["--reference", "nowhere"], 2, "Directory 'nowhere' does not exist"),
        (["--charts", "nowhere"], 2, "--charts nowhere: there is no such folder"),
        (["--save", "a.json", "--no-save"], 2, "--save and --no-save exclude each other"),
        (["--reference", "wrong"], 3, "simba_energy_d.csv:1: 6 numbers are expected"),
        (["--save", "thesis.json"], 3, "thesis.json.journal: this is no journal"),
        (["--time-limit", "soon"], 2, "--time-limit"),
    ],
)
def test_what_is_wrong_is_told_before_any_search(validate, folder, arguments, code, message):
    (folder / "empty").mkdir()
    (folder / "wrong").mkdir()
    (folder / "wrong" / "simba_energy_d.csv").write_text("8;1\n", encoding="utf-8")
    (folder / "thesis.json.journal").write_text("years of work\n", encoding="utf-8")
    ran = validate(*arguments)
    assert ran.exit_code == code
    assert message in ran.stderr


def test_a_machine_that_the_authors_did_not_measure_is_refused_with_a_reference(run, small, folder):
    (folder / "data").mkdir()
    ran = run("complexity", "validate", "--hardware", "eyeriss-normalized", "--reference", "data")
    assert ran.exit_code == 2
    assert "the authors measured no machine 'eyeriss-normalized'" in ran.stderr


def test_measurements_whose_macs_cost_something_else_are_refused(validate, folder):
    """As of another machine under this one's name."""
    ran = validate("--reference", reference(folder, mac_pj=4 * 0.5608), "--no-save")
    assert ran.exit_code == 3
    assert "the energy of the MACs differs from that of simba-like-45nm by up to 300.0 % at 20 of 20 points" in ran.stderr


def test_the_machine_is_known_by_what_it_is_and_not_by_its_name(run, small, folder):
    written = run("hardware", "show", "simba-like-45nm", "--format", "yaml").stdout
    assert written.count("name: simba-like-45nm") == 1
    (folder / "same.yaml").write_text(written.replace("name: simba-like-45nm", "name: mine"), encoding="utf-8")
    other = run("hardware", "show", "eyeriss-normalized", "--format", "yaml").stdout
    assert other.count("\nname: eyeriss-normalized") == 1
    other = other.replace("\nname: eyeriss-normalized", "\nname: simba-like-45nm")
    (folder / "other.yaml").write_text(other, encoding="utf-8")
    data = reference(folder)
    arguments = ("complexity", "validate", "--reference", data, "--no-save", "--hardware")
    same, refused = run(*arguments, "same.yaml"), run(*arguments, "other.yaml")
    assert same.exit_code == 0, same.stderr
    assert "at 20 of 20 points" in same.stdout
    assert refused.exit_code == 2
    assert "this simba-like-45nm is not what the authors measured" in refused.stderr


def test_without_the_extra_the_error_says_how_to_install_it(validate, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression", None)
    ran = validate()
    assert ran.exit_code == 2
    assert "pip install 'picojoule[study]'" in ran.stderr


def random_layers(data: Path, count: int) -> Path:
    """Beside made-up measurements so many layers of which all parameters differ."""
    lines = []
    for i in range(count):
        layer = Convolution(n=16 + i, d=4, q=2, r=3, s=1)
        macs, part = layer.nest.macs * 0.5608, layer.nest.macs * 10.0
        lines.append(f"{layer.n};4;2;3;1;{macs + part!r};{macs!r};{part!r}")
    (data / "random_networks_simba.csv").write_text("\n".join(lines), encoding="utf-8")
    return data


def test_random_layers_that_are_missing_or_too_few_are_told(validate, folder):
    data = reference(folder)
    missing = validate("--reference", data, "--random", "40", "--save", "kept.json")
    assert missing.exit_code == 2
    assert "there is no file random_networks_simba.csv" in missing.stderr
    assert not list(folder.glob("*.journal"))
    many = validate("--reference", random_layers(data, 45), "--random", "5000", "--no-save")
    assert many.exit_code == 2
    assert "the file has 45 random layers, not 5000" in many.stderr


def test_an_envelope_of_few_minima_is_warned_of(validate, folder):
    ran = validate("--reference", random_layers(reference(folder), 40), "--random", "40", "--no-save")
    assert ran.exit_code == 0, ran.stderr
    said = " ".join(ran.stdout.split())
    assert "a fit of three coefficients on 4 minima says little · --random 200 or more" in said


def test_an_incomplete_reference_is_refused_and_leaves_no_journal(validate, folder):
    data = reference(folder)
    (data / "simba_energy_d.csv").write_text("", encoding="utf-8")
    ran = validate("--reference", data)
    assert ran.exit_code == 3
    assert "simba_energy_d.csv: 5 of 5 points are missing: d = 8, 16, 24, 32, 40" in ran.stderr
    assert not list(folder.glob("*.journal"))


def test_charts_without_the_extra_are_refused_before_any_search(validate, folder, monkeypatch):
    (folder / "charts").mkdir()
    monkeypatch.setitem(sys.modules, "altair", None)
    ran = validate("--charts", "charts")
    assert ran.exit_code == 2
    assert "the charts need altair" in ran.stderr and "pip install 'picojoule[report]'" in ran.stderr


def test_an_interruption_keeps_what_was_done(validate, folder, monkeypatch):
    from picojoule.study.validation import points

    done = []

    def search(task):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task)
        return {"energy": 3.0, "bound": 3.0, "macs": 1.0, "status": "PROVED"}

    monkeypatch.setattr(points, "_search", search)
    ran = validate("--save", "kept.json")
    assert ran.exit_code == 130
    assert "interrupted: 3 points are kept in kept.json.journal; the same command goes on from there" in ran.stderr
    with Journal(folder / "kept.json.journal") as journal:
        assert len(journal.answers) == 3
    assert not (folder / "kept.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_after_sigkill_the_same_command_goes_on(command, folder):
    arguments = ("complexity", "validate", "--hardware", "simba-like-45nm", "--save", "kept.json", "--format", "json")
    journal = folder / "kept.json.journal"
    first = command(*arguments)
    for _ in range(2400):
        if first.poll() is not None or (journal.exists() and journal.read_bytes().count(b"\n") >= 6):
            break
        time.sleep(0.025)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with Journal(journal) as left:
        kept = len(left.answers)
    assert 5 <= kept < 121
    second = command(*arguments)
    stdout, stderr = second.communicate(timeout=300)
    assert second.returncode == 0
    assert f"going on with {kept} points of kept.json.journal" in stderr
    assert json.loads(stdout) == json.loads((folder / "kept.json").read_text(encoding="utf-8"))
    assert not journal.exists()
    depths = json.loads(stdout)["sweeps"][0]["ours"]
    machine = load_hardware("simba-like-45nm")
    for i in (0, 40, 63):  # the first is from the journal, most others were searched after the kill
        nest = SWEEPS[0].layer(depths["values"][i]).nest
        policy = Exact(time_limit_s=None, factors="exact")
        assert depths["energy"][i] == search_layer(nest, machine, machine.bits, "energy", policy).value
