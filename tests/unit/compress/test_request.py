"""What a folder belongs to is told by content: machines, images and networks of one name may be others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import digit_network

from picojoule.compress.job import open_job
from picojoule.compress.request import callable_name, machine_digest, request_of
from picojoule.compress.subject import subject_of
from picojoule.compress.task import TUNING
from picojoule.errors import UsageError
from picojoule.hardware import load_hardware
from picojoule.train.images import Images

MACHINE = load_hardware("eyeriss-methodology")
DEARER = replace(MACHINE, mac=replace(MACHINE.mac, multiply=2 * MACHINE.mac.multiply))
DATA = digit_network.data()
BY_100 = (np.float32([100]), np.float32([50]))


def relabelled(images: Images) -> Images:
    return replace(images, labels=images.labels[::-1].copy())


OTHERS = {
    "machine": {"hardware": DEARER},
    "data": {"data": replace(DATA, test=relabelled(DATA.test))},
    "normalisation": {"normalisation": BY_100},
    "teacher": {"teacher": digit_network.untrained()[0]},
}


def opened(folder, **other):
    asked = {
        "hardware": MACHINE, "data": DATA, "all_seen": False, "normalisation": None, "train": None, "evaluate": None, "calibrate": None,
        "weights_file": None, "teacher": None, "recipe": TUNING,
    }  # fmt: skip
    return open_job(*digit_network.untrained(), {"budget": "50%"}, output=folder, note=lambda _: None, **asked | other)


def test_a_job_of_the_same_goes_on(tmp_path):
    first, again = (opened(tmp_path / "out", hardware=machine) for machine in (MACHINE, replace(MACHINE, description="other words")))
    assert first.settings == again.settings and first.settings["hardware"] == "eyeriss-methodology"


@pytest.mark.parametrize("key", OTHERS)
def test_a_job_of_another_by_the_same_name_is_refused(tmp_path, key):
    opened(tmp_path / "out")
    with pytest.raises(UsageError, match=f"another job lies here; it differs in {key}\n"):
        opened(tmp_path / "out", **OTHERS[key])


def test_a_job_of_other_callables_is_refused(tmp_path):
    own = {"data": None, "evaluate": digit_network.accuracy, "calibrate": digit_network.batches}
    opened(tmp_path / "out", **own)
    with pytest.raises(UsageError, match="it differs in callables\n"):
        opened(tmp_path / "out", **own | {"evaluate": lambda _: 0.5})


def test_inputs_of_another_shape_are_another_request():
    module, example = digit_network.untrained()
    kept = {"machine": MACHINE, "data": DATA, "normalisation": None, "recipe": TUNING}
    small, large = (request_of(subject_of(module, one), {}, **kept) for one in (example, torch.zeros(1, 1, 16, 16)))
    assert {key for key in small if small[key] != large[key]} == {"example"}


def test_digests_tell_apart_what_counts():
    named = replace(DATA, names=tuple("abcdefghij"))
    moved = replace(DATA, choose=DATA.choose.part(0, 100), test=DATA.choose.part(100, len(DATA.choose)))
    assert len({one.digest() for one in (DATA, OTHERS["data"]["data"], named, moved)}) == 4
    assert machine_digest(MACHINE) != machine_digest(DEARER)
    assert callable_name(digit_network.accuracy) == "support.digit_network:accuracy" and callable_name(None) is None


def test_the_recipe_that_is_kept_is_the_one_that_trains(tmp_path):
    assert TUNING.augment
    assert not opened(tmp_path / "out").settings["recipe"]["augment"], "digits aren't moved or mirrored"
    own = {"data": None, "evaluate": digit_network.accuracy, "calibrate": digit_network.batches}
    assert opened(tmp_path / "own", **own).settings["recipe"]["augment"]
