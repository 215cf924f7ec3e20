"""``picojoule estimate``: what goes to standard output, what to standard error, and what to files."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

import picojoule
from picojoule.errors import UsageError
from picojoule.result_file import read_result

SAVED = "tiny.eyeriss-normalized.json"


def test_the_table_is_on_stdout_and_the_rest_on_stderr(estimate, folder):
    ran = estimate()
    assert ran.exit_code == 0
    assert ran.stdout.startswith("tiny ·")
    for word in ("layer", "conv1", "total", "DRAM", "bound", "floor", "coverage"):
        assert word in ran.stdout
    assert "wrote" not in ran.stdout
    assert ran.stderr.strip() == f"wrote {SAVED}       next: picojoule verify {SAVED}"
    assert read_result(folder / SAVED).model == "tiny"


def test_quiet_leaves_stderr_empty(estimate):
    ran = estimate("-q")
    assert ran.stderr == ""
    assert ran.stdout


def test_no_save_writes_nothing(estimate, folder):
    assert estimate("--no-save").stderr == ""
    assert [file.name for file in folder.iterdir()] == ["tiny.yaml"]


def test_save_names_the_file_and_replaces_it(estimate, folder):
    for _ in range(2):
        assert estimate("--save", "mine.json").exit_code == 0
    assert read_result(folder / "mine.json").model == "tiny"
    assert sorted(file.name for file in folder.iterdir()) == ["mine.json", "tiny.yaml"]


def test_the_default_file_is_replaced(estimate, folder):
    (folder / SAVED).write_text("old")
    assert estimate().exit_code == 0
    assert read_result(folder / SAVED).model == "tiny"


def test_the_default_file_has_a_safe_name(run, folder):
    assert run("estimate", "merkel:L1", "--hardware", "eyeriss-normalized", "-q").exit_code == 0
    assert (folder / "merkel-L1.eyeriss-normalized.json").is_file()


def test_json_is_one_document_and_the_same_as_the_file(estimate, folder):
    ran = estimate("--format", "json")
    document = json.loads(ran.stdout)
    assert document["schema"] == "picojoule/estimate/1"
    assert document == json.loads((folder / SAVED).read_text(encoding="utf-8"))


def test_csv_is_tidy_and_adds_up(estimate, folder):
    rows = list(csv.DictReader(io.StringIO(estimate("--format", "csv").stdout)))
    saved = read_result(folder / SAVED)
    assert len(rows) == sum(len(layer.by) for layer in saved.layers)
    assert math.fsum(float(row["energy_pj"]) for row in rows if row["layer"] == "fc") == saved.by_layer()["fc"]


def test_markdown_has_every_layer_and_the_total(estimate):
    lines = estimate("--format", "md").stdout.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table[2:]] == ["conv1", "fc", "**total**"]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_output_goes_to_a_file(estimate, folder, form):
    on_stdout = estimate("--no-save", "--format", form).stdout
    ran = estimate("--no-save", "--format", form, "-o", "out")
    assert (ran.exit_code, ran.stdout, ran.stderr.strip()) == (0, "", "wrote out")
    written = (folder / "out").read_text(encoding="utf-8")
    # The clock runs; in JSON it is told.
    assert len(written.splitlines()) == len(on_stdout.splitlines())


def test_a_dash_is_stdout(estimate, folder):
    assert estimate("--no-save", "-o", "-").stdout.startswith("tiny")
    assert not (folder / "-").exists()


def test_output_that_exists_is_refused_before_the_search_and_kept(estimate, folder, monkeypatch):
    (folder / "out").write_text("precious")
    monkeypatch.setattr("picojoule.estimation.estimate", lambda *_, **__: pytest.fail("searched"))
    ran = estimate("-o", "out")
    assert ran.exit_code == 2
    assert "out exists" in ran.stderr and "--force" in ran.stderr
    assert (folder / "out").read_text() == "precious"


def test_force_overwrites_output(estimate, folder):
    (folder / "out").write_text("old")
    assert estimate("-o", "out", "--force").exit_code == 0
    assert (folder / "out").read_text(encoding="utf-8").startswith("tiny")


def test_the_result_file_never_replaces_an_input(run, folder):
    before = (folder / "tiny.yaml").read_text()
    ran = run("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--save", "./tiny.yaml")
    assert ran.exit_code == 2
    assert "input" in ran.stderr
    assert (folder / "tiny.yaml").read_text() == before


@pytest.mark.parametrize("option", [("--certificate",), ("--save",), ("--force", "-o")])
@pytest.mark.parametrize("read", ["net.yaml", "hw.yaml", "maps.json", "prices.yaml", "inputs.npz", "images/one.png"])
def test_no_output_replaces_what_is_read(run, folder, monkeypatch, option, read):
    monkeypatch.setattr("picojoule.estimation.estimate", lambda *_, **__: pytest.fail("searched"))
    (folder / "images").mkdir()
    (folder / read).write_text("precious")
    (folder / "link").symlink_to(read)
    data = "inputs.npz" if read.endswith("npz") else "images"
    for name in ("net.yaml", "hw.yaml", "maps.json", "prices.yaml"):
        (folder / name).touch()
    inputs = ("net.yaml", "--hardware", "hw.yaml", "--mapping", "maps.json", "--table", "prices.yaml", "--data", data)
    for spelling in (read, f"./../{folder.name}/{read}", "link"):
        ran = run("estimate", *inputs, *option, spelling)
        assert ran.exit_code == 2
        assert f"{option[-1]} would replace the input" in ran.stderr
    assert (folder / read).read_text() == "precious"


@pytest.mark.parametrize(
    "outputs",
    [
        ("--save", "z", "--certificate", "./z"),
        ("-o", "z", "--force", "--certificate", "z"),
        ("-o", "z", "--save", "z"),
    ],
)
def test_no_output_replaces_another(estimate, monkeypatch, outputs):
    monkeypatch.setattr("picojoule.estimation.estimate", lambda *_, **__: pytest.fail("searched"))
    ran = estimate(*outputs)
    assert ran.exit_code == 2
    assert "name the same file" in ran.stderr and "Name two files." in ran.stderr


def test_a_certificate_under_the_default_name_of_the_result_stays(estimate, folder):
    ran = estimate("--certificate", SAVED)
    assert ran.exit_code == 2
    assert ran.stdout.startswith("tiny ·")
    assert "name that the result file has by default" in ran.stderr and "--save" in ran.stderr
    assert json.loads((folder / SAVED).read_text(encoding="utf-8"))["schema"] == "picojoule/certificate/1"


def test_the_python_function_replaces_no_input_either(folder):
    with pytest.raises(UsageError, match=r"would replace the input tiny\.yaml"):
        picojoule.estimate("tiny.yaml", hardware="eyeriss-normalized", certificate="./tiny.yaml")


def test_output_and_result_file_are_two_files(estimate, folder):
    assert estimate("-o", "a.json", "--save", "./a.json").exit_code == 2
    # The default name gives way to -o: the formatted output is what was asked for.
    ran = estimate("-o", SAVED)
    assert (ran.exit_code, ran.stderr.strip()) == (0, f"wrote {SAVED}")
    assert (folder / SAVED).read_text(encoding="utf-8").startswith("tiny ·")


def test_a_default_file_that_is_an_input_is_kept_and_the_result_shown(run, folder):
    (folder / SAVED).write_text('{"name": "tiny", "layers": [{"name": "fc", "K": 10, "C": 64}]}')
    ran = run("estimate", SAVED, "--hardware", "eyeriss-normalized")
    assert ran.exit_code == 2
    assert ran.stdout.startswith("tiny ·")
    assert "would replace the input" in ran.stderr and "--save" in ran.stderr
    assert "layers" in (folder / SAVED).read_text()


def test_a_layer_whose_macs_touch_no_input(run, folder):
    """Both filter rows fall on padding, which is there above and below."""
    (folder / "pad.yaml").write_text("layers: [{name: l, G: 3, Q: 2, R: 2, dilation: [2, 2], pad: [1, 0, 1, 0]}]")
    assert run("estimate", "pad.yaml", "--hardware", "eyeriss-like-45nm", "--save", "pad.json").exit_code == 0
    assert set(read_result(folder / "pad.json").layers[0].reuse) == {"weights", "outputs"}
    assert run("verify", "pad.json").exit_code == 0


def test_all_and_sort(run, folder):
    table = ["layers:", *(f"  - {{name: layer{i:02}, K: {i + 1}, C: 64}}" for i in range(14))]
    (folder / "many.yaml").write_text("\n".join(table))

    def shown(*more):
        ran = run("estimate", "many.yaml", "--hardware", "eyeriss-normalized", "--no-save", *more)
        return [line.split()[0] for line in ran.stdout.splitlines() if line[:6] == " layer" and line[6].isdigit()]

    assert shown("--sort", "name") == [f"layer{i:02}" for i in range(10)]
    assert shown("--sort", "name", "--all") == [f"layer{i:02}" for i in range(14)]
    assert shown("--sort", "energy") == [f"layer{i:02}" for i in range(13, 3, -1)]
    assert shown("--sort", "order", "--all") == shown("--sort", "macs", "--all")[::-1]
    assert "… 4 more" in run("estimate", "many.yaml", "--hardware", "eyeriss-normalized", "--no-save").stdout


def test_sorted_by_memory(run, folder):
    rows, more = [("a", 2), ("b", 9), ("c", 5)], ("--no-save", "--bits", 8)
    (folder / "m.yaml").write_text("\n".join(["layers:", *(f"  - {{name: {n}, K: {k}, C: 64}}" for n, k in rows)]))
    ran = run("estimate", "m.yaml", "--hardware", "eyeriss-normalized", *more, "--sort", "memory")
    lines = ran.stdout.splitlines()
    assert " live B " in lines[1]
    assert [line.split()[0] for line in lines[2:5]] == ["b", "c", "a"]
    assert " memory     activations at most 73 B, at b · weights 1 KiB" in ran.stdout
    assert "a chain is assumed" in ran.stdout
    document = json.loads(
        run(
            "estimate", "m.yaml", "--hardware", "eyeriss-normalized", "--no-save", "--bits", 8, "--format", "json"
        ).stdout
    )
    assert document["peak_activation_bytes"] == 73
    assert [layer["memory_bytes"] for layer in document["layers"]] == [66, 73, 69]


def test_arguments_reach_the_estimate(run):
    ran = run(
        "estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--no-save", "--format", "json", "--batch", 2,
        "--bits", "weights=4,inputs=8,outputs=8,psums=20", "--objective", "latency",
        "--gap", "0.5", "--time-limit", "none",
    )  # fmt: skip
    document = json.loads(ran.stdout)
    assert document["batch"] == 2
    assert document["bits"] == {"weights": 4, "inputs": 8, "outputs": 8, "psums": 20}
    assert document["objective"] == "latency"
    assert document["macs"] == 2 * (16 * 3 * 16 * 16 * 9 + 640)


def test_every_policy_reaches_the_estimate(estimate, monkeypatch):
    seen = {}

    def record(model, **given):
        seen.update(given, model=model)
        raise KeyboardInterrupt

    monkeypatch.setattr("picojoule.estimation.estimate", record)
    (
        given := [
            "--gap",
            "2%",
            "--time-limit",
            "200ms",
            "--node-limit",
            "7",
            "--bits",
            "8",
            "--strict",
            "-j",
            "2",
            "--no-cache",
        ]
    )
    given += ["--fps", "30", "--shape", "a=1x3", "--shape", "b=2", "--mapping", "tiny.yaml", "--sparsity", "measured", "--data", "."]
    assert estimate(*given).exit_code == 130
    search = seen.pop("search")
    assert (search.gap, search.time_limit_s, search.node_limit) == (0.02, 0.2, 7)
    assert seen.pop("mapping").name == "tiny.yaml"
    assert str(seen.pop("data")) == "."
    assert callable(seen.pop("progress"))
    assert seen == {
        "model": "tiny.yaml", "hardware": "eyeriss-normalized", "batch": 1, "bits": 8, "objective": "energy",
        "counting": "exact", "shape": {"a": (1, 3), "b": (2,)}, "strict": True, "jobs": 2, "cache": False, "certificate": None, "front": False,
        "sparsity": "measured", "table": None, "fps": 30, "fuse": "off",
    }  # fmt: skip


def test_verbose_tells_the_space_and_each_layer(estimate):
    ran = estimate("-v", "--no-save")
    assert " space" in ran.stdout and " search" in ran.stdout
    assert " 1/2 conv1" in ran.stderr and " 2/2 fc" in ran.stderr


def test_colours_only_where_asked(estimate, monkeypatch, folder):
    assert "\x1b[" not in estimate("--no-save").output
    assert "\x1b[" in estimate("--no-save", "--color", "always").stdout
    assert "\x1b[" not in estimate("--no-save", "--color", "always", "--format", "json").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in estimate("--no-save").stdout
    estimate("--no-save", "-o", "out")
    assert "\x1b[" not in (folder / "out").read_text()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in estimate("--no-save").stdout


def test_columns_set_the_width(estimate, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert max(map(len, estimate("--no-save").stdout.splitlines())) <= 70


def test_progress_only_where_asked(estimate):
    """Not a terminal: no progress, unless it is asked for."""
    assert estimate("--no-save").stderr == ""
    assert "\x1b[" in estimate("--no-save", "--progress", "always").stderr
    assert estimate("--no-save", "--progress", "never").stderr == ""


def test_a_gap_of_all_is_refused_with_what_is_allowed(estimate):
    ran = estimate("--gap", "100%")
    assert ran.exit_code == 2
    assert "--gap: '100%' is not at least 0 and below 1 (100%)" in ran.stderr


@pytest.mark.parametrize("given", [(), ("--progress", "never"), ("-q",), ("-v",)])
def test_a_line_says_that_kernels_are_compiled(estimate, monkeypatch, given):
    monkeypatch.setattr("picojoule.search.many.compiled", lambda: False)
    monkeypatch.setattr("picojoule.search.many.compile_ahead", lambda: None)
    told = estimate("--no-save", *given).stderr
    assert told.count("compiling the search kernels") == (given in ((), ("-v",)))
    assert len(told.splitlines()) == {(): 1, ("-v",): 3}.get(given, 0)


def test_layer_names_cannot_steer_the_terminal(run, folder):
    (folder / "evil.json").write_text(json.dumps({"layers": [{"name": "a\x1b[31mb\nc", "K": 2, "C": 2}]}))
    ran = run("estimate", "evil.json", "--hardware", "eyeriss-normalized", "--no-save")
    assert "\x1b" not in ran.output
    if ran.exit_code == 0:
        assert any(line.startswith(" a\N{REPLACEMENT CHARACTER}[31mb") for line in ran.stdout.splitlines())


def test_another_table_is_in_the_result_and_verifies(estimate, run, folder):
    ran = estimate("--table", "horowitz-45nm")
    assert ran.exit_code == 0
    assert "table horowitz-45nm" in ran.stdout
    saved = "tiny.eyeriss-normalized.horowitz-45nm.json"
    result = read_result(folder / saved)
    assert (result.table["name"], result.table["unit"], result.table["node_nm"]) == ("horowitz-45nm", "pJ", 45)
    assert "unverified" in result.table["source"]
    dram = result.hardware["hierarchy"][0]
    assert (result.hardware["unit"], dram["energy"]["read"]) == ("pJ", 1300 / 64 * 16)
    assert run("verify", saved).exit_code == 0


def test_a_table_that_nobody_knows_and_one_that_does_not_reach(run):
    ran = run("estimate", "tiny.yaml", "--hardware", "eyeriss-normalized", "--table", "horowitz")
    assert ran.exit_code == 2
    assert "Did you mean 'horowitz-45nm'?" in ran.stderr
    ran = run("estimate", "tiny.yaml", "--hardware", "simba-like-45nm", "--table", "eyeriss-normalized-65nm")
    assert ran.exit_code == 3
    assert "simba-like-45nm: GlobalBuffer: the rule of eyeriss-normalized-65nm for sram is for sizes" in ran.stderr


def test_a_table_file_is_not_replaced(estimate, folder):
    from importlib import resources

    text = resources.files("picojoule.hardware").joinpath("tables", "horowitz-45nm.yaml").read_text(encoding="utf-8")
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    assert estimate("--table", "own.yaml", "--save", "own.yaml").exit_code == 2
    assert estimate("--table", "own.yaml").exit_code == 0


def test_fps_tells_the_power(run):
    ran = run("estimate", "tiny.yaml", "--hardware", "horowitz-arithmetic-45nm", "--fps", 1000, "-q", "--no-save")
    assert ran.exit_code == 0
    assert "inferences a second, leakage left out" in ran.stdout
    assert "isn't known: no clock" in ran.stdout
    document = json.loads(
        run("estimate", "tiny.yaml", "--hardware", "dpu-v2:B512", "--fps", 1000, "--format", "json", "--no-save").stdout
    )
    assert document["fps"] == 1000
    assert document["power_w"] == pytest.approx(document["energy_pj_per_inference"] * 1e-9)


def test_more_inferences_than_a_machine_makes_take_several(run):
    ran = run("estimate", "tiny.yaml", "--hardware", "dpu-v2:B512", "--fps", 1e6, "-q", "--no-save")
    assert "it takes" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--hardware", "eyeriss-normalized", "--fps", 30), "its energies are multiples of a MAC, not joules"),
        (("--hardware", "dpu-v2", "--fps", 0), "fps"),
        (("--hardware", "dpu-v2:B4095"), "has no variant 'B4095'"),
        (("--hardware", "dpu-v2:rows=3"), "has no parameter 'rows'"),
    ],
)
def test_what_fps_and_variants_refuse(run, arguments, says):
    ran = run("estimate", "tiny.yaml", *arguments)
    assert ran.exit_code == 2
    assert says in ran.stderr


def test_a_member_of_a_family_has_a_file_of_its_own(run, folder):
    assert run("estimate", "tiny.yaml", "--hardware", "dpu-v2:B512,memory=1 MiB", "-q").exit_code == 0
    assert (folder / "tiny.dpu-v2-B512-memory-1-MiB.json").is_file()


def test_operands_that_no_mode_takes_are_an_error_of_input(run):
    ran = run("estimate", "tiny.yaml", "--hardware", "dpu-v2", "--bits", 16)
    assert ran.exit_code == 3
    assert "dpu-v2: conv1" in ran.stderr
