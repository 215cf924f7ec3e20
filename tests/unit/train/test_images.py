"""Labelled images: shapes, parts, and the normalisation that only training images decide."""

from __future__ import annotations

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.train import Images, Splits, read_cifar10


def images(count: int, seed: int = 0, side: int = 4) -> Images:
    rng = np.random.default_rng(seed)
    return Images(pixels=rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8), labels=rng.integers(0, 3, count))


def test_normalisation_is_that_of_the_training_images_alone():
    train = images(50)
    mean, deviation = Splits(train=train, choose=images(9, 1), test=images(9, 2)).normalisation()
    assert mean == pytest.approx(train.pixels.reshape(-1, 3).mean(0), rel=1e-6)
    assert deviation == pytest.approx(train.pixels.reshape(-1, 3).std(0), rel=1e-6)


def test_a_channel_without_contrast_is_left_as_it_is():
    flat = Images(pixels=np.full((3, 2, 2, 1), 7, np.uint8), labels=np.zeros(3, int))
    mean, deviation = Splits(train=flat, choose=flat, test=flat).normalisation()
    assert (mean.tolist(), deviation.tolist()) == ([7.0], [1.0])


@pytest.mark.parametrize(
    ("pixels", "labels", "says"),
    [
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, int), "images × rows × columns × channels"),
        (np.zeros((2, 4, 4, 3), np.float32), np.zeros(2, int), "not float32"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(3, int), "2 images need as many labels"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2), "float64"),
    ],
)
def test_images_of_another_kind_are_refused(pixels, labels, says):
    with pytest.raises(InputError, match=says):
        Images(pixels=pixels, labels=labels)


def test_cifar10_is_whole_and_split(shared):
    data = read_cifar10(shared / "data" / "cifar10")
    assert [len(part) for part in (data.train, data.choose, data.test)] == [45_000, 5_000, 10_000]
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert (np.bincount(data.train.labels) + np.bincount(data.choose.labels)).tolist() == [5000] * 10
    # The first test image is a cat, the first of training a frog; means as published for the 50,000 images.
    assert (data.test.labels[0], data.train.labels[0]) == (3, 6)
    everything = np.concatenate([data.train.pixels, data.choose.pixels])
    assert everything.mean((0, 1, 2)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)


def test_a_damaged_sheet_is_named(shared, tmp_path):
    folder = shared / "data" / "cifar10"
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "sheet0.webp").unlink()
    (tmp_path / "sheet0.webp").write_bytes((folder / "sheet0.webp").read_bytes()[:-1])
    with pytest.raises(InputError, match="SHA-256") as caught:
        read_cifar10(tmp_path)
    assert caught.value.where.endswith("sheet0.webp")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"no labels\.npz"):
        read_cifar10(tmp_path)
