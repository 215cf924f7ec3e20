"""Points as trials: what is written straight into SQLite is what Optuna would have written."""

from __future__ import annotations

import pytest
from support.small_studies import written

from picojoule.study import Record, read_study
from picojoule.study.storage import Store, optuna, trial_of, url_of


def records() -> list[Record]:
    figures = {"energy_pj_per_inference": 3.5, "latency_s": 1e-3, "area_mm2": 2.0, "unit": "pJ", "status": "PROVED", "levels": {"DRAM": 3.0}}
    points = [{"PE.axes.x": x, "buffer.capacity": "1 KiB", "DRAM.energy": 64} for x in (2, 4, 2)]
    failed = Record(key="grid/2", point={**points[2], "DRAM.energy": 32}, figures=None, failed="no room", cpu_s=0.1)
    return [Record(key=f"grid/{n}", point=points[n], figures=figures, failed="", cpu_s=0.2) for n in range(2)] + [failed]


@pytest.fixture
def study(tmp_path):
    return read_study(written(tmp_path))


def test_a_point_is_the_trial_that_optuna_would_have_written(study, tmp_path):
    ours, theirs = (Store(str(tmp_path / name), study) for name in ("ours.db", "theirs.db"))
    for record in records():
        ours.add(record, study)
        theirs._rdb.create_new_trial(theirs._id, template_trial=trial_of(record, study))
    assert list(ours.records()) == list(theirs.records()) == records()
    ours.close(), theirs.close()
    mine, its = (optuna().load_study(study_name=study.name, storage=url_of(str(tmp_path / name))).trials for name in ("ours.db", "theirs.db"))
    assert [trial.number for trial in mine] == [0, 1, 2]
    for one, other in zip(mine, its, strict=True):
        for field in ("number", "state", "values", "params", "distributions", "user_attrs", "system_attrs"):
            assert getattr(one, field) == getattr(other, field), field
        assert abs((one.datetime_start - other.datetime_start).total_seconds()) < 3600
    assert mine[0].system_attrs == {"constraints": [pytest.approx(1 / 3)]}


def test_two_runs_may_write_at_once(study, tmp_path):
    first, second = Store(str(tmp_path / "s.db"), study), Store(str(tmp_path / "s.db"), study)
    for record, store in zip(records(), (first, second, first), strict=True):
        store.add(record, study)
    assert [record.key for record in second.records()] == ["grid/0", "grid/1", "grid/2"]
    first.close(), second.close()
    kept = optuna().load_study(study_name=study.name, storage=url_of(str(tmp_path / "s.db")))
    assert [trial.number for trial in kept.trials] == [0, 1, 2]
