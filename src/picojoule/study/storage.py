"""Where a study's points are kept: an Optuna storage, one SQLite file unless another is named.

Each point is one trial, written whole in one transaction: what is there is finished, and a process that is killed loses
what it had in hand. Nothing is read back while a study runs but the numbers of its points.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from picojoule.errors import MissingExtraError, StudyError, SystemFailure, UnknownNameError, nearest
from picojoule.study.axes import Axis
from picojoule.study.points import Record
from picojoule.study.spec import Study

_SPEC = "picojoule/study/1"


def optuna() -> Any:
    """The library, quiet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna as library
    except ImportError as missing:
        message = "studies need optuna, which is not installed"
        raise MissingExtraError(message, hint="pip install 'picojoule[study]'") from missing
    library.logging.set_verbosity(library.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return library


def url_of(place: str) -> str:
    """The URL of a storage: a file becomes SQLite's."""
    return place if "://" in place else f"sqlite:///{Path(place).absolute()}"


class Store:
    """The points of one study in a storage.

    Args:
        place: a file, or the URL of a database as Optuna takes it.
        study: to be kept there; None reads one that is there.
        name: of the study to read; may be left out where there is one alone.

    Raises:
        MissingExtraError: optuna or the database's driver is not installed.
        StudyError: it holds another study of that name, or none of ours.
        UnknownNameError: there is no such file, or study.
        SystemFailure: it can't be opened.
    """

    def __init__(self, place: str, study: Study | None = None, name: str | None = None) -> None:
        self.place, library = place, optuna()
        self._spaces: dict[str, str] = {}
        if study is None and "://" not in place and not Path(place).is_file():
            raise UnknownNameError(f"there is no file {place!r}", hint="Name the file that `picojoule study run` wrote.")
        self._rdb = _opened(library, place)
        names = [one.study_name for one in self._rdb.get_all_studies()]
        if study is None:
            name = name or (names[0] if len(names) == 1 else None)
            if name not in names:
                what = f"there is no study {name!r}" if name else f"it holds {len(names)} studies"
                hint = f"{nearest(name or '', names)} Choose with --study NAME." if names else "Run one first."
                raise UnknownNameError(what, where=place, hint=hint)
        else:
            name = study.name
            if name not in names:
                directions = [library.study.StudyDirection[d.upper()] for d in study.directions]
                number = self._rdb.create_new_study(directions, name)
                about = {"schema": _SPEC, "digest": study.digest, "text": _text(study)}
                self._rdb.set_study_user_attr(number, "picojoule", about)
        self.name = str(name)
        self._id = self._rdb.get_study_id_from_name(self.name)
        self.about = self._rdb.get_study_user_attrs(self._id).get("picojoule") or {}
        if self.about.get("schema") != _SPEC:
            raise StudyError(f"{self.name!r} is no study of picojoule", where=place)
        if study is not None and self.about["digest"] != study.digest:
            raise StudyError(
                f"the study {self.name!r} is kept there with other axes, models or searches",
                where=place,
                hint="Give it another name (name: …), or keep it elsewhere with --storage FILE.",
            )

    def keys(self) -> set[str]:
        """The numbers of all points that are kept."""
        return {record.key for record in self.records()}

    def records(self) -> Iterator[Record]:
        """Every point, in the order in which they came."""
        from sqlalchemy import text

        # Some at a time, straight from Optuna's tables: its own reading holds all trials in memory.
        query = text(
            "SELECT kept.value_json FROM trial_user_attributes kept JOIN trials ON kept.trial_id = trials.trial_id "
            "WHERE trials.study_id = :study AND kept.key = 'picojoule' ORDER BY kept.trial_id"
        )
        with self._rdb.engine.connect() as connection:
            for (kept,) in connection.execution_options(yield_per=200).execute(query, {"study": self._id}):
                yield Record(**json.loads(kept))

    def add(self, record: Record, study: Study) -> None:
        """Keeps a point; when this returns it is there.

        Raises:
            SystemFailure: the storage doesn't take it.
        """
        trial = trial_of(record, study)
        try:
            if self._rdb.engine.dialect.name == "sqlite":
                self._add_quickly(trial)
            else:
                self._rdb.create_new_trial(self._id, template_trial=trial)
        except Exception as failure:
            if type(failure).__name__ not in ("StorageInternalError", "OperationalError"):
                raise
            raise SystemFailure(f"a point can't be kept: {failure}", where=self.place) from failure

    def _add_quickly(self, trial: Any) -> None:
        """What ``create_new_trial`` writes, which asks for every value first whether it is there: that takes ten times as long."""
        from sqlalchemy import text

        values, params = trial.values or [], trial.params
        spaces = trial.distributions
        with self._rdb.engine.begin() as connection:
            last = "(SELECT number FROM trials WHERE study_id = :study ORDER BY trial_id DESC LIMIT 1)"
            number = connection.execute(
                text(
                    "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) "
                    f"VALUES (coalesce({last}, -1) + 1, :study, :state, :now, :now) RETURNING trial_id"
                ),
                {"study": self._id, "state": trial.state.name, "now": datetime.now(UTC).replace(tzinfo=None).isoformat(" ")},
            ).scalar_one()
            rows: dict[str, list[dict[str, Any]]] = {
                "trial_values": [{"objective": n, "value": value, "value_type": "FINITE"} for n, value in enumerate(values)],
                "trial_params": [
                    {"param_name": name, "param_value": spaces[name].to_internal_repr(value), "distribution_json": self._space(name, spaces[name])}
                    for name, value in params.items()
                ],
                "trial_user_attributes": [{"key": key, "value_json": json.dumps(value)} for key, value in trial.user_attrs.items()],
                "trial_system_attributes": [{"key": key, "value_json": json.dumps(value)} for key, value in trial.system_attrs.items()],
            }  # fmt: skip
            for table, several in rows.items():
                if several:
                    names = ("trial_id", *several[0])
                    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
                    connection.execute(text(insert), [{"trial_id": number, **row} for row in several])

    def _space(self, name: str, space: Any) -> str:
        if name not in self._spaces:
            self._spaces[name] = optuna().distributions.distribution_to_json(space)
        return self._spaces[name]

    def close(self) -> None:
        self._rdb.remove_session()
        self._rdb.engine.dispose()


def trial_of(record: Record, study: Study) -> Any:
    """The point as a trial of Optuna's."""
    library = optuna()
    values = record.values(study)
    kept = {"key": record.key, "point": record.point, "figures": record.figures, "failed": record.failed, "cpu_s": record.cpu_s}
    state = library.trial.TrialState
    excess = None if record.figures is None else [one.excess(record.figures) for one in study.constraints]
    return library.trial.create_trial(
        state=state.FAIL if values is None else state.COMPLETE,
        values=values,
        params={axis.name: record.point[axis.name] for axis in study.axes},
        distributions={axis.name: distribution(axis) for axis in study.axes},
        user_attrs={"picojoule": kept},
        system_attrs={"constraints": excess} if study.constraints and excess is not None else None,
    )


def distribution(axis: Axis) -> Any:
    """What Optuna knows of an axis: numbers in order where they are evenly apart, else names."""
    kinds = optuna().distributions
    if axis.values is not None:
        return kinds.CategoricalDistribution(axis.values)
    if axis.whole:
        return kinds.IntDistribution(int(axis.low), int(axis.high))
    return kinds.FloatDistribution(axis.low, axis.high)


def _opened(library: Any, place: str) -> Any:
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    url = url_of(place)
    local = url.startswith("sqlite")
    if local and not Path(url.removeprefix("sqlite:///")).parent.is_dir():
        raise UnknownNameError(f"there is no folder for {place!r}", where="storage", hint="Make the folder first.")

    def quick(connection: Any, _record: Any) -> None:
        # Of a killed process nothing is lost so; of a machine that loses its power, the last points may be.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    try:
        storage = library.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}} if local else None)
    except ImportError as missing:
        raise MissingExtraError(f"the database's driver is not installed: {missing}", where=place) from None
    except (SQLAlchemyError, ValueError, RuntimeError, OSError) as failure:
        if "not a database" in str(failure):
            raise StudyError("this is no SQLite file", where=place, hint="Name another file.") from None
        raise SystemFailure(f"the storage can't be opened: {str(failure).splitlines()[0]}", where=place) from failure
    if local:
        storage.engine.dispose()
        event.listen(storage.engine, "connect", quick)
    return storage


def _text(study: Study) -> str:
    return json.dumps(
        {
            "objectives": study.objectives, "constraints": [one.text for one in study.constraints], "size": study.size,
            "axes": [axis.to_data() for axis in study.axes], "networks": study.networks, "machines": study.machines,
        }
    )  # fmt: skip
