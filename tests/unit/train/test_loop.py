"""Training on scikit-learn's digits: it learns, it is deterministic, and what was broken off goes on exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from picojoule.errors import InputError, UsageError
from picojoule.train import Images, Recipe, Splits, accuracies, fit, load_tensors, predict
from picojoule.train.loop import BEST, LAST, STEP, _cycle

RECIPE = Recipe(epochs=4, batch=32, peak_rate=1e-2, l2=1e-4, precision="float32")


class TwoExits(nn.Module):
    """A classifier on the image and one behind a convolution, with dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 10)
        self.conv = nn.Conv2d(1, 8, 3)
        self.drop = nn.Dropout(0.3)
        self.second = nn.Linear(8 * 36, 10)

    def forward(self, x):
        return self.first(x.flatten(1)), self.second(self.drop(torch.relu(self.conv(x)).flatten(1)))


@pytest.fixture(scope="module")
def digits() -> Splits:
    found = load_digits()
    whole = Images(pixels=(found.images * 15.9375).astype(np.uint8)[..., None], labels=found.target)
    return Splits(train=whole.part(0, 1000), choose=whole.part(1000, 1400), test=whole.part(1400, 1797))


def module(seed: int = 0) -> TwoExits:
    torch.manual_seed(seed)
    return TwoExits()


def weights(trained: nn.Module) -> list[list[float]]:
    return [p.detach().flatten().tolist() for p in trained.parameters()]


def test_it_learns(digits, tmp_path):
    net = module()
    before = accuracies(predict(net, digits.test, digits.normalisation()), digits.test.labels)
    line = fit(net, digits, RECIPE, folder=tmp_path)
    after = accuracies(predict(net, digits.test, digits.normalisation()), digits.test.labels)
    assert max(before) < 0.4 and min(after) > 0.85
    assert line["score"] == pytest.approx(sum(line["choose_accuracy"]) / 2)


def test_the_weights_left_are_those_of_the_best_epoch(digits, tmp_path):
    net, lines = module(), []
    line = fit(net, digits, replace(RECIPE, peak_rate=0.2), folder=tmp_path, note=lines.append)
    assert line == max(lines, key=lambda line: line["score"])
    again = accuracies(predict(net, digits.choose, digits.normalisation()), digits.choose.labels)
    assert again == pytest.approx(line["choose_accuracy"])


def test_broken_off_and_continued_is_the_same_as_in_one_go(digits, tmp_path):
    whole, halves = module(), module()
    fit(whole, digits, RECIPE, folder=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_after_two(line):
        if line["epoch"] == 1:
            raise Stop

    with pytest.raises(Stop):
        fit(halves, digits, RECIPE, folder=tmp_path / "halves", note=stop_after_two)
    other = module(seed=9)
    fit(other, digits, RECIPE, folder=tmp_path / "halves")
    assert weights(other) == weights(whole)
    logs = [load_tensors(tmp_path / name / LAST)[1]["log"] for name in ("whole", "halves")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


def test_another_seed_gives_other_weights(digits, tmp_path):
    one, two = module(), module()
    fit(one, digits, RECIPE, folder=tmp_path / "one")
    fit(two, digits, replace(RECIPE, seed=1), folder=tmp_path / "two")
    assert weights(one) != weights(two)


def test_frozen_parameters_stay(digits, tmp_path):
    net = module()
    net.conv.weight.requires_grad_(False)
    before = net.conv.weight.detach().clone()
    fit(net, digits, replace(RECIPE, epochs=1), folder=tmp_path)
    assert torch.equal(net.conv.weight, before)


def test_patience_ends_it(digits, tmp_path):
    lines = []
    fit(module(), digits, replace(RECIPE, epochs=60, patience=1), folder=tmp_path, note=lines.append)
    assert len(lines) < 60
    assert lines[-1]["score"] <= lines[-2]["score"]


def test_another_recipe_or_network_in_the_folder_is_refused(digits, tmp_path):
    fit(module(), digits, replace(RECIPE, epochs=1), folder=tmp_path)
    with pytest.raises(InputError, match="another recipe"):
        fit(module(), digits, RECIPE, folder=tmp_path)
    with pytest.raises(InputError, match="another network"):
        fit(nn.ModuleList([nn.Linear(64, 10)]), digits, replace(RECIPE, epochs=1), folder=tmp_path)


def test_a_file_that_is_no_checkpoint_is_refused(digits, tmp_path):
    (tmp_path / LAST).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        fit(module(), digits, RECIPE, folder=tmp_path)


def test_a_training_that_diverges_says_so(digits, tmp_path):
    with pytest.raises(InputError, match="the loss of epoch 0 is"):
        fit(module(), digits, replace(RECIPE, peak_rate=1e38), folder=tmp_path)
    assert not (tmp_path / BEST).exists()


def test_the_rate_rises_and_falls():
    rates = [_cycle(done / 100) for done in range(101)]
    assert rates[0] == pytest.approx(1 / 25) and max(rates) == pytest.approx(1) and rates[-1] < 1e-5
    assert rates.index(max(rates)) == 30


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch", 0), ("peak_rate", 0), ("l2", -1), ("patience", 0), ("precision", "half"), ("seed", -1)],
)
def test_a_recipe_out_of_range_is_refused(field, value):
    with pytest.raises(UsageError) as caught:
        Recipe(**{field: value})
    assert caught.value.where == field


def test_the_weights_of_a_step_are_kept_and_a_training_goes_on_behind_it(digits, tmp_path):
    recipe = replace(RECIPE, epochs=2)
    each = 1000 // 32
    seen = []
    fit(module(), digits, recipe, folder=tmp_path / "whole", keep_step=each + 5, after_step=lambda net: seen.append(weights(net)))
    kept, facts = load_tensors(tmp_path / "whole" / STEP)
    assert facts["step"] == each + 5
    assert [kept[name].flatten().tolist() for name, _ in module().named_parameters()] == seen[each + 4]
    late = module()
    late.load_state_dict(kept)
    steps, lines = [], []
    fit(
        late, digits, recipe, folder=tmp_path / "late", first_step=each + 5, note=lines.append,
        after_step=lambda net: steps.append(weights(net)),
    )  # fmt: skip
    assert len(steps) == each - 5
    assert [line["epoch"] for line in lines] == [1]
    # The same images at the same rate, behind other moments: near, and not the same.
    assert steps[0] != seen[each + 5]
    assert np.abs(np.concatenate(steps[0]) - np.concatenate(seen[each + 5])).max() < 3 * recipe.peak_rate


def test_a_step_that_the_schedule_has_not_is_refused(digits, tmp_path):
    for given in ({"keep_step": 124}, {"first_step": 124}, {"first_step": -1}):
        with pytest.raises(UsageError, match="the schedule has 124 steps"):
            fit(module(), digits, RECIPE, folder=tmp_path / "any", **given)
