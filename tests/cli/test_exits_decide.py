"""``picojoule exits decide``: what it prints, in every form, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from picojoule.exits import Scorer, leaving

ENERGIES = "1.1,5.6,17.6"
FOR_80 = ("choose.npz", "--target-accuracy", "0.8", "--energies", ENERGIES, "--levels", "8")


@pytest.fixture
def logits(folder):
    for name, images, seed in (("choose", 600, 0), ("held", 600, 1), ("test", 2000, 2), ("empty", 0, 3)):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, images)
        strengths = np.reshape([1.0, 2.0, 3.0], (3, 1, 1))
        made = strengths * np.eye(3)[labels] + rng.normal(size=(3, images, 3))
        np.savez(folder / f"{name}.npz", logits=made.astype(np.float32), labels=labels)
    np.savez(folder / "four.npz", logits=rng.normal(size=(3, 500, 4)), labels=rng.integers(0, 4, 500))
    return folder


def test_thresholds_shares_and_the_guarantee_are_shown(run, logits):
    ran = run(
        "exits", "decide", "choose.npz", "--target-accuracy", "0.88", "--energies", ENERGIES,
        "--calibration", "held.npz", "--test", "test.npz",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.stderr
    said = " ".join(ran.stdout.split())
    assert "accuracy ≥ 0.88 in the long run with confidence 0.9" in said and "leaves from" in said and "2 000 images" in said
    tested = next(line for line in ran.stdout.splitlines() if line.startswith(" test")).split()[2]
    assert f"less energy than asking all exits, at accuracy {tested} on test images" in said
    ran = run("exits", "decide", "choose.npz", "--target-accuracy", "0.88", "--energies", ENERGIES)
    assert "on choosing images" in " ".join(ran.stdout.split())
    assert "none: no calibration images were given" in " ".join(ran.stdout.split())


@pytest.mark.parametrize("flags", [(), ("--rule", "margin", "--combine"), ("--rule", "learned")])
def test_json_holds_all_that_it_takes_to_apply_the_policy(run, logits, flags):
    ran = run(
        "exits", "decide", "choose.npz", "--target-accuracy", "0.88", "--energies", ENERGIES, "--test", "test.npz",
        "--levels", "12", "--format", "json", *flags,
    )  # fmt: skip
    data = json.loads(ran.stdout)
    coefficients = data["coefficients"] and tuple(tuple(map(tuple, one)) for one in data["coefficients"])
    scorer = Scorer(rule=data["rule"], weights=tuple(map(tuple, data["weights"])), coefficients=coefficients)
    with np.load(logits / "test.npz") as test:
        scored = scorer.read(test["logits"])
        left = leaving(scored.score, [np.inf if t is None else t for t in data["thresholds"]])
        right = scored.predicted[left, np.arange(len(left))] == test["labels"]
    assert data["test"]["accuracy"] == right.mean()
    assert data["test"]["energy"] == pytest.approx(np.array([1.1, 5.6, 17.6])[left].mean())
    assert (data["manifest_exits"] is None) == bool(flags) and data["guarantee"] is None
    assert data["search"]["status"] == "PROVED" and len(data["front"]) > 5


def test_energies_by_parts_and_the_best_exits(run, logits):
    (logits / "e.json").write_text('{"trunk": [1, 4, 10], "heads": [0.1, 12, 2]}')
    ran = run(
        "exits", "decide", "choose.npz", "--target-accuracy", "0.88", "--energies", "e.json", "--ask", "best",
        "--levels", "12", "--format", "json",
    )  # fmt: skip
    assert json.loads(ran.stdout)["asked"] == [0, 2]


def test_energies_of_a_machine(run, logits):
    onnx = pytest.importorskip("onnx")
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    weights = {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (4, 4, 3, 3), "f1": (3, 144), "f2": (3, 64), "f3": (3, 16)}
    nodes, at = [], "x"
    for n in (1, 2, 3):
        nodes += [
            helper.make_node("Conv", [at, f"w{n}"], [f"c{n}"], f"conv{n}"),
            helper.make_node("Flatten", [f"c{n}"], [f"v{n}"], f"flat{n}"),
            helper.make_node("Gemm", [f"v{n}", f"f{n}"], [f"y{n}"], f"head{n}", transB=1),
        ]
        at = f"c{n}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "exits", [info("x", 1, [1, 3, 8, 8])], [info(f"y{n}", 1, [1, 3]) for n in (1, 2, 3)],
        [tensor(np.ones(shape, dtype=np.float32), name) for name, shape in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(logits / "net.onnx"))
    shared = (
        "exits", "decide", "choose.npz", "--target-accuracy", "0.88", "--hardware", "eyeriss-normalized",
        "--model", "net.onnx", "--levels", "12", "--format", "json",
    )  # fmt: skip
    data = json.loads(run(*shared, "--heads", "head1,head2,head3").stdout)
    assert data["unit"] == "mac16" and all(energy > 0 for energy in data["energies"]["trunk"])
    assert data["energies"]["heads"][0] > data["energies"]["heads"][1] > 0 == data["energies"]["heads"][2]
    ran = run(*shared, "--heads", "head1,head2,head4")
    assert ran.exit_code == 2 and "no layer 'head4'" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("choose.npz", "--energies", ENERGIES, "--target-accuracy", "88"), 2, "Divide percentages by 100"),
        (("choose.npz", "--target-accuracy", "0.8"), 2, "energies come from --energies or from --hardware"),
        (("choose.npz", "--target-accuracy", "0.8", "--hardware", "x"), 2, "--hardware needs --model and --heads"),
        (("choose.npz", "--target-accuracy", "0.8", "--energies", "1,x,3"), 2, "no energies, and no file"),
        (("choose.npz", "--target-accuracy", "0.8", "--energies", "3,2,1"), 3, "exit 1 takes 2, less than exit 0"),
        (("none.npz", "--target-accuracy", "0.8", "--energies", ENERGIES), 2, "there is no file 'none.npz'"),
        (
            ("choose.npz", "--target-accuracy", "0.8", "--energies", ENERGIES, "--calibration", "empty.npz"),
            3,
            "11 samples are needed",
        ),
        (
            ("choose.npz", "--target-accuracy", "0.975", "--energies", ENERGIES, "--calibration", "held.npz"),
            3,
            "samples would do",
        ),
        ((*FOR_80, "--seed", "-1"), 2, "Invalid value for '--seed'"),
        ((*FOR_80, "--next-images", "100"), 2, "without calibration images nothing is guaranteed, nor on the next images"),
        ((*FOR_80, "--ask", "best"), 2, "no energy of a head is known, so that leaving an exit out would save nothing"),
        ((*FOR_80, "--test", "choose.npz"), 3, "600 of 600 test samples are among those that choose"),
        ((*FOR_80, "--calibration", "held.npz", "--test", "held.npz"), 3, "600 of 600 test samples are among those that calibrate"),
        ((*FOR_80, "--test", "four.npz"), 3, "four.npz: scores were fitted to logits of 3 classes, these are of 4"),
        ((*FOR_80, "--calibration", "four.npz"), 3, "four.npz: scores were fitted to logits of 3 classes, these are of 4"),
    ],
)
def test_what_is_refused(run, logits, arguments, code, says):
    ran = run("exits", "decide", *arguments)
    assert ran.exit_code == code and says in " ".join(ran.stderr.split()), ran.stderr
    assert ran.stdout == ""


def test_no_archive_or_another_one(run, folder):
    (folder / "text.npz").write_text("no")
    np.savez(folder / "other.npz", x=np.zeros(3))
    for name, says in (("text.npz", "not readable as a NumPy archive"), ("other.npz", "no array 'logits'")):
        ran = run("exits", "decide", name, "--target-accuracy", "0.8", "--energies", ENERGIES)
        assert ran.exit_code == 3 and says in ran.stderr
