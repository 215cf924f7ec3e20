"""Labelled images by name or folder; pickles are read without running what is in them."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from picojoule.errors import InputError, UsageError
from picojoule.train import cifar10_pickles, datasets
from picojoule.train.cifar10_pickles import _contents, read_cifar10_pickles
from picojoule.train.datasets import read_dataset


def test_digits_are_split_once_and_for_all():
    splits = read_dataset("digits")
    assert [len(part) for part in (splits.train, splits.choose, splits.test)] == [1200, 200, 397]
    assert splits.train.pixels.shape == (1200, 8, 8, 1)
    assert splits.train.pixels.max() == 255
    again = read_dataset("digits")
    assert np.array_equal(splits.test.pixels, again.test.pixels)


def test_a_network_that_saw_all_images_needs_test_images_to_choose():
    with pytest.raises(InputError, match="of 397 test images 2000 can't be spared"):
        read_dataset("digits", all_seen=True)


def _archive(folder, monkeypatch, contents):
    folder.mkdir()
    for name in cifar10_pickles.MD5:
        (folder / name).write_bytes(pickle.dumps(contents, protocol=2))
    found = cifar10_pickles.hashlib.md5((folder / "test_batch").read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar10_pickles, "MD5", dict.fromkeys(cifar10_pickles.MD5, found))


def test_the_official_layout_is_read(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    _archive(tmp_path / "cifar-10-batches-py", monkeypatch, {b"data": rows, b"labels": list(range(20))})
    splits = read_cifar10_pickles(tmp_path / "cifar-10-batches-py", 90)
    assert [len(part) for part in (splits.train, splits.choose, splits.test)] == [90, 10, 20]
    assert np.array_equal(splits.test.pixels[3], rows[3].reshape(3, 32, 32).transpose(1, 2, 0))
    assert splits.test.labels.tolist() == list(range(20))


def _python_2(value):
    """Opcodes of protocol 2 as cPickle of Python 2 writes them: text is bytes without an encoding, the array is rebuilt by numpy."""
    if isinstance(value, bytes):
        return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + len(value).to_bytes(4, "little")) + value
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, list):
        return b"](" + b"".join(map(_python_2, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_python_2, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_python_2(key) + _python_2(entry) for key, entry in value.items()) + b"u"
    if value is None:
        return b"N"
    kind = b"cnumpy\ndtype\n" + _python_2((b"u1", 0, 1)) + b"R" + _python_2((3, b"|", None, None, None, -1, -1, 0)) + b"b"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _python_2((0,)) + _python_2(b"b") + b"tR"
    state = b"(" + _python_2(1) + _python_2(value.shape) + kind + b"I00\n" + _python_2(value.tobytes()) + b"tb"
    return made + state


def test_an_archive_as_python_2_wrote_it_is_read_batch_after_batch(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    draw, batches, sums = np.random.default_rng(1), {}, {}
    for index, name in enumerate(cifar10_pickles.MD5):
        rows, labels = draw.integers(0, 256, (12, 3072), dtype=np.uint8), [(index + i) % 10 for i in range(12)]
        names = [b"image_%d.png" % i for i in range(12)]
        raw = b"\x80\x02" + _python_2({b"batch_label": name.encode(), b"labels": labels, b"data": rows, b"filenames": names}) + b"."
        (folder / name).write_bytes(raw)
        batches[name], sums[name] = (rows, labels), cifar10_pickles.hashlib.md5(raw, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar10_pickles, "MD5", sums)
    monkeypatch.setattr(datasets, "TRAINED_ON", 50)
    splits = read_dataset(tmp_path)
    assert [len(part) for part in (splits.train, splits.choose, splits.test)] == [50, 10, 12]
    for position, name in enumerate(list(sums)[:5]):
        rows, labels = batches[name]
        for i in (0, 7, 11):
            at = 12 * position + i
            part, index = (splits.train, at) if at < 50 else (splits.choose, at - 50)
            assert np.array_equal(part.pixels[index], rows[i].reshape(3, 32, 32).transpose(1, 2, 0))
            assert part.labels[index] == labels[i]
    assert splits.test.labels.tolist() == batches["test_batch"][1]
    (folder / "test_batch").write_bytes(b"\x80\x02" + _python_2({b"data": b"no rows"}) + b".")
    with pytest.raises(InputError, match="damaged or another file"):
        read_dataset(tmp_path)


def test_another_file_is_refused_by_its_checksum(tmp_path):
    for name in cifar10_pickles.MD5:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(InputError, match="damaged or another file"):
        read_dataset(tmp_path)


def test_a_missing_batch_and_a_missing_folder_are_named(tmp_path):
    (tmp_path / "test_batch").write_bytes(b"")
    with pytest.raises(UsageError, match="there is no data_batch_1"):
        read_cifar10_pickles(tmp_path, 90)
    with pytest.raises(UsageError, match="there is no folder"):
        read_dataset(tmp_path / "nowhere")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was-here",)


def test_a_pickle_that_asks_for_more_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="which no such file needs"):
        _contents(pickle.dumps({b"data": Evil()}), "here")
    assert not (tmp_path / "was-here").exists()
