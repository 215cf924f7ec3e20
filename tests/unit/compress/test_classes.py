"""Networks for a few of their classes: the head, the images, the threshold against others, and what is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import digit_network
from torch import nn

from picojoule.compress import prune, reload
from picojoule.compress.classes import chosen_classes, few_classes, rehead
from picojoule.compress.rejection import auroc, best_temperature, chances, rejection
from picojoule.compress.subject import Subject
from picojoule.compress.task import TUNING
from picojoule.errors import ModelError, UsageError
from picojoule.train.cifar10 import CLASSES

RECIPE = replace(TUNING, epochs=1, batch=64, augment=False, precision="float32")


def test_classes_go_by_name_or_number():
    assert chosen_classes("cat,dog, ship ,truck", CLASSES) == (3, 5, 8, 9)
    assert chosen_classes(["truck", 0], CLASSES) == (0, 9)
    assert chosen_classes("7,2", [str(n) for n in range(10)]) == (2, 7)


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ("cat,dgo", "there is no class 'dgo'", "Did you mean 'dog'"),
        ("cat,10", "there is no class '10'", "Allowed: airplane, automobile"),
        ("cat,3", "named twice", None),
        ("cat", "from 2 to 9 of 10", "airplane, automobile, bird"),
        (",".join(CLASSES), "from 2 to 9 of 10", "There are"),
    ],
)
def test_what_is_no_choice_of_classes_is_refused_with_the_choices(asked, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        chosen_classes(asked, CLASSES)
    assert hint is None or hint in str(caught.value.hint)


@pytest.mark.parametrize("last", [nn.Linear(32, 10, bias=False), nn.Sequential(nn.Unflatten(1, (32, 1, 1)), nn.Conv2d(32, 10, 1), nn.Flatten())])
def test_the_new_head_answers_as_the_old_one_for_its_classes(last):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 32), last).eval()
    smaller, name = rehead(module, digit_network.EXAMPLE, (1, 4, 7), 10)
    assert name.startswith("4"), "not the other layer of ten rows"
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(smaller(x), module(x)[:, [1, 4, 7]], atol=1e-6)
        assert module(x).shape == (5, 10)


def test_a_network_whose_logits_are_no_rows_of_a_layer_is_refused():
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
    with pytest.raises(ModelError, match="no layer's rows are the logits of the 10 classes"):
        rehead(module, digit_network.EXAMPLE, (1, 2), 10)


def test_images_of_the_kept_classes_are_numbered_anew_and_the_others_apart():
    few = few_classes(Subject(digit_network.trained(), "net", digit_network.EXAMPLE), "8,3", digit_network.data(), None)
    whole = digit_network.data()
    for part in ("train", "choose", "test"):
        own, all_ = getattr(few.data, part), getattr(whole, part)
        assert len(own) == int(np.isin(all_.labels, [3, 8]).sum())
        assert len(own) + len(getattr(few.others, part)) == len(all_)
        assert np.array_equal(own.pixels, all_.pixels[np.isin(all_.labels, [3, 8])])
        assert np.array_equal(np.array([3, 8])[own.labels], all_.labels[np.isin(all_.labels, [3, 8])])
    assert few.names == ("3", "8")


def test_the_temperature_undoes_a_scale_of_well_calibrated_logits():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(4000, 5)) * 2
    labels = np.array([draw.choice(5, p=row) for row in chances(logits, 1.0)])
    assert best_temperature(logits, labels) == pytest.approx(1, abs=0.06)
    assert best_temperature(logits * 3, labels) == pytest.approx(3 * best_temperature(logits, labels), rel=1e-6)


def test_images_that_are_all_right_do_not_make_every_answer_certain():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 200)
    logits = draw.normal(size=(200, 4)) + 12 * np.eye(4)[labels]
    assert (logits.argmax(1) == labels).all()
    found = best_temperature(logits, labels)
    sure = chances(logits, found).max(1)
    assert 0.5 < found < 4
    # As sure as so many right answers make one, and one wrong in 202 would be no surprise.
    assert 1 - sure.mean() == pytest.approx(1 / 202, rel=0.5)
    strange = chances(draw.normal(size=(200, 4)) + 6 * np.eye(4)[labels], found).max(1)
    assert auroc(sure, strange) > 0.99


def test_the_threshold_rejects_its_share_of_those_that_choose():
    choosing = np.linspace(0.5, 1, 1000)
    found = rejection(choosing, np.array([0.5, 0.6, 0.9]), np.array([0.4, 0.55, 0.95, 0.2]), rejected=0.1)
    assert (choosing < found["threshold"]).mean() == pytest.approx(0.1, abs=1e-3)
    assert found["kept_rejected"] == pytest.approx(1 / 3)
    assert found["others_accepted"] == 0.25
    assert found["accepted"].tolist() == [False, False, True, False]
    assert found["auroc"] == pytest.approx(auroc(np.array([0.5, 0.6, 0.9]), np.array([0.4, 0.55, 0.95, 0.2])))


def test_auroc_counts_pairs_and_ties_half():
    above, below = np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in above for b in below]
    assert auroc(above, below) == pytest.approx(np.mean(pairs))


def test_three_digits_from_end_to_end(tmp_path):
    module = digit_network.trained()
    result = prune(
        module, digit_network.EXAMPLE, hardware="eyeriss-methodology", budget="70%", data="digits", classes="3,5,8", recipe=RECIPE,
        output=tmp_path / "job", reject=0.1,
    )  # fmt: skip
    told = result.classes
    assert (told["kept"], told["names"], told["head"]) == ([3, 5, 8], ["3", "5", "8"], "head")
    assert told["images"] == {"kept": 102, "others": 295}
    assert told["accuracy"]["all classes"] <= told["accuracy"]["the new head"] == result.accuracy_before
    assert told["accuracy"]["in the end"] == result.accuracy_after > 0.9
    by_answer, dense, last = told["others"]
    assert by_answer["threshold"] is None and by_answer["others_accepted"] < 0.1
    assert by_answer["kept_rejected"] == pytest.approx(
        float(np.mean([label not in (3, 5, 8) for label in _answers(module, (3, 5, 8))]))
    )
    for row in (dense, last):
        assert 0 < row["kept_rejected"] < 0.3
        assert 0.6 < row["auroc"] <= 1
        assert sum(row["accepted_as"].values()) == pytest.approx(1)
    again = reload(digit_network.DigitNetwork(), digit_network.EXAMPLE, folder=tmp_path / "job")
    assert again.head.out_features == 3
    # The temperature is in the head: what is handed over needs none.
    data = few_classes(Subject(module, "net", digit_network.EXAMPLE), "3,5,8", digit_network.data(), None)
    logits = data._logits(again, data.data.choose)
    assert best_temperature(logits, data.data.choose.labels) == pytest.approx(1, abs=1e-3)


def _answers(module, kept):
    from picojoule.train import predict

    data = digit_network.data()
    every = predict(module, data.test, data.normalisation())[-1].argmax(1)
    return every[np.isin(data.test.labels, kept)]


def test_classes_need_labelled_images(tmp_path):
    with pytest.raises(UsageError, match="which images are of which class"):
        prune(
            digit_network.trained(), digit_network.EXAMPLE, hardware="eyeriss-v2", budget="50%", classes="1,2",
            evaluate=digit_network.accuracy, calibrate=digit_network.batches, output=tmp_path / "job",
        )  # fmt: skip
