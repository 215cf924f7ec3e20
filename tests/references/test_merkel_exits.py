"""Merkel (arXiv 2011.08779), §II–V: what `results/merkel` says is what its logits give, and its weights give those."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RESULTS = Path(__file__).parents[2] / "results" / "merkel"
REDRAW = RESULTS / "redraw.py"
SAMPLE = 512
CLAIMS = 14


def redraw(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REDRAW), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def made_up(folder: Path, names: tuple[str, ...]) -> Path:
    """Evidence of networks that never were: exits of rising strength on random labels."""
    rng = np.random.default_rng(0)
    (folder / "logits").mkdir()
    labels = {part: rng.integers(0, 10, count).astype(np.uint8) for part, count in (("choose", 100), ("test", 500))}
    np.savez(folder / "labels.npz", **labels)
    strengths = [0.8, 1.8, 2.1, 2.4, 2.6, 2.7]
    for name in names:
        mine = strengths if name in ("combined", "individual") else [strengths[int(name[1:]) - 1]]
        logits = {
            part: (rng.normal(size=(len(mine), len(y), 10)) + np.reshape(mine, (-1, 1, 1)) * np.eye(10)[y]).astype(
                np.float16
            )
            for part, y in labels.items()
        }
        confidence = rng.uniform(0.2, 1, (len(mine), 1000)).astype(np.float16)
        np.savez(
            folder / "logits" / f"{name}.npz",
            **logits,
            train_confidence=confidence,
            train_right=rng.random(confidence.shape) < confidence,
        )
    return folder


ALL = ("combined", "individual", "L1", "L2", "L3", "L4", "L5", "L6")


def test_every_claim_is_judged_and_every_figure_drawn(tmp_path):
    page, file = tmp_path / "page.html", tmp_path / "claims.json"
    ran = redraw("--folder", made_up(tmp_path, ALL), "--page", page, "--claims", file)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n| ") == CLAIMS
    # Only depths beyond 6 were not made up.
    assert [
        line for line in ran.stdout.splitlines() if "**not run**" in line and "best test accuracy" not in line
    ] == []
    html = page.read_text(encoding="utf-8")
    assert all(f"Fig. {n}" in html for n in ("2(a)", "2(b)", 3, 4, 5, 6, 7, 8, 9, 10))
    claims = {claim["id"]: claim["value"] for claim in json.loads(file.read_text(encoding="utf-8"))}
    with np.load(tmp_path / "logits" / "combined.npz") as logits, np.load(tmp_path / "labels.npz") as labels:
        right = (logits["test"].argmax(2) == labels["test"]).mean(1)
    assert claims["merkel.full_depth.combined"] == pytest.approx(100 * right[-1])
    assert claims["merkel.saved.charged"] < claims["merkel.saved.free"]


def test_what_was_not_run_says_so(tmp_path):
    ran = redraw("--folder", made_up(tmp_path, ("combined", "L1")))
    assert ran.returncode == 0
    for claim in ("best test accuracy", "six layers alone", "individual training", "combined training", "42 %"):
        (line, *_) = [line for line in ran.stdout.splitlines() if claim in line]
        assert "**not run**" in line and "needs" in line


def test_logits_that_are_no_numbers_or_labels_that_don_t_match_are_refused(tmp_path):
    folder = made_up(tmp_path, ("combined",))
    with np.load(folder / "logits" / "combined.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["test"][2, 7, 0] = np.nan
    np.savez(folder / "logits" / "combined.npz", **arrays)
    ran = redraw("--folder", folder)
    assert ran.returncode == 3 and "at exit 2, image 7" in ran.stderr and "combined.npz" in ran.stderr
    arrays["test"] = arrays["test"][:, 1:] * 0
    np.savez(folder / "logits" / "combined.npz", **arrays)
    ran = redraw("--folder", folder)
    assert ran.returncode == 3 and "the logits are of 499 images" in ran.stderr
    assert redraw("--folder", tmp_path / "nowhere").returncode == 2


def test_files_that_are_broken_off_or_of_another_network_are_refused(tmp_path):
    folder = made_up(tmp_path, ("combined", "L1"))
    (folder / "logs").mkdir()
    file, log = folder / "logits" / "L1.npz", folder / "logs" / "L1.jsonl"
    whole, other = file.read_bytes(), (folder / "logits" / "combined.npz").read_bytes()
    for content, says in ((whole[:2000], "not readable"), (b"", "not readable"), (other, "exits: 1 needed, got 6")):
        file.write_bytes(content)
        ran = redraw("--folder", folder)
        assert ran.returncode == 3 and says in ran.stderr and str(file) in ran.stderr
    file.write_bytes(whole)
    log.write_text("{", encoding="utf-8")
    ran = redraw("--folder", folder)
    assert ran.returncode == 3 and "not readable" in ran.stderr and str(log) in ran.stderr


def test_the_reasons_are_what_the_logits_give():
    ran = subprocess.run([sys.executable, str(RESULTS / "reasons.py")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    readme = (RESULTS / "README.md").read_text(encoding="utf-8")
    for line in ran.stdout.splitlines():
        assert line in readme, "the README shows what the command prints"


def test_the_claims_of_the_results_are_what_their_logits_give(tmp_path):
    ran = redraw("--claims", tmp_path / "claims.json")
    assert ran.returncode == 0, ran.stderr
    measured, kept = (
        json.loads(p.read_text(encoding="utf-8")) for p in (tmp_path / "claims.json", RESULTS / "claims.json")
    )
    assert [claim["id"] for claim in measured] == [claim["id"] for claim in kept]
    for now, then in zip(measured, kept, strict=True):
        assert now["value"] == pytest.approx(then["value"], abs=then["tolerance"]) and now["verdict"] == then["verdict"]
    readme = (RESULTS / "README.md").read_text(encoding="utf-8")
    for line in ran.stdout.splitlines():
        assert line in readme, "the README shows what the command prints"


@pytest.mark.parametrize("name", sorted(path.stem for path in (RESULTS / "weights").glob("*.safetensors")))
def test_the_weights_of_the_results_give_their_logits(shared, name):
    """Of 512 test images, spread over the set: logits that were made up would differ."""
    from picojoule.exits import all_exits, one_exit
    from picojoule.train import Images, load_tensors, predict, read_cifar10

    data = read_cifar10(shared / "data" / "cifar10")
    module = all_exits() if name in ("combined", "individual") else one_exit(int(name[1:]))
    weights, _ = load_tensors(RESULTS / "weights" / f"{name}.safetensors")
    if name == "individual":  # its own five heads, on what it shares with L6
        weights |= load_tensors(RESULTS / "weights" / "L6.safetensors")[0]
    module.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    chosen = np.linspace(0, len(data.test) - 1, SAMPLE).astype(int)
    images = Images(pixels=data.test.pixels[chosen], labels=data.test.labels[chosen])
    found = predict(module, images, data.normalisation())
    with np.load(RESULTS / "logits" / f"{name}.npz") as file:
        kept = file["test"][:, chosen].astype(np.float32)
    assert np.abs(found - kept).max() < 2e-2
    assert (found.argmax(2) == kept.argmax(2)).mean() > 0.999
