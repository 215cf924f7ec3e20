"""The constants of a device table from microbenchmarks, and how far off it is on networks that it wasn't fitted to."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picojoule.errors import InputError, MissingExtraError
from picojoule.runtime.device_table import Arithmetic, DeviceTable
from picojoule.runtime.microbenchmarks import Microbenchmarks, Timed, TimedNetwork, read_microbenchmarks

if TYPE_CHECKING:
    import numpy as np

_OUTLIER = 0.1
"""Relative error from which on a microbenchmark pulls at the constants no more than in proportion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far a table is off, relative to what was measured: medians and worst of the absolute errors."""

    median: float
    worst: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkError:
    """A network that the table wasn't fitted to: what was measured, and the table's error relative to it."""

    model: str
    dtype: str
    batch: int
    seconds: float
    seconds_error: float
    joules: float | None
    joules_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFit:
    """What `fit_device` returns.

    Attributes:
        table: the constants.
        seconds, joules: deviation from the microbenchmarks themselves; joules None without energies.
        networks: deviation from networks that played no part in the fit.
    """

    table: DeviceTable
    seconds: Deviation
    joules: Deviation | None
    networks: tuple[NetworkError, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data: the table with the deviations beside it."""
        data = asdict(self)
        return {
            **self.table.to_dict(),
            "fitted_to": {"seconds": data["seconds"], "joules": data["joules"]},
            "networks": data["networks"],
        }


def fit_device(microbenchmarks: Microbenchmarks | Path) -> DeviceFit:
    """Fits a device table to microbenchmarks and tests it on the networks in the same file.

    Latencies by least squares of the logarithm, in which far-off points count less; energies by non-negative least
    squares of relative errors, over the measured latencies. The networks are looked at only afterwards.

    Args:
        microbenchmarks: the file, or what `read_microbenchmarks` gives.

    Raises:
        InputError: see `read_microbenchmarks`; energies for some pieces and not for others.
        UnknownNameError: a network that nobody knows.
        MissingExtraError: scipy is not installed.
    """
    found = microbenchmarks if isinstance(microbenchmarks, Microbenchmarks) else read_microbenchmarks(microbenchmarks)
    timed = [*found.copies, *found.matmuls]
    with_energy = sum(one.joules is not None for one in timed)
    if with_energy not in (0, len(timed)):
        raise InputError(
            f"{with_energy} of {len(timed)} microbenchmarks have joules",
            where=found.device,
            hint="All of them, or none.",
        )
    table = _latency(found)
    if with_energy:
        table = _energy(table, timed)
    seconds = [table.seconds(one.work, one.dtype) / one.seconds - 1 for one in timed]
    joules = [(table.joules(one.work, one.dtype) or 0.0) / one.joules - 1 for one in timed if one.joules]
    return DeviceFit(
        table=table,
        seconds=_deviation(seconds),
        joules=_deviation(joules) if joules else None,
        networks=tuple(_tested(table, network) for network in found.networks),
    )


def _latency(found: Microbenchmarks) -> DeviceTable:
    import numpy as np

    least_squares = _scipy().least_squares
    timed = [*found.copies, *found.matmuls]
    dtypes = sorted({one.dtype for one in found.matmuls})
    fastest = {d: max(one.work.macs / one.seconds for one in found.matmuls if one.dtype == d) for d in dtypes}
    start = [
        math.log(min(one.seconds for one in timed)),
        math.log(max(one.work.moved_bytes / one.seconds for one in found.copies)),
        *(value for d in dtypes for value in (math.log(fastest[d]), math.log(1e4), math.log(64.0))),
    ]

    def table(logs: np.ndarray) -> DeviceTable:
        launch, bandwidth, *rest = np.exp(logs).tolist()
        kinds = {
            d: Arithmetic(macs_per_s=rest[3 * n], half_outputs=rest[3 * n + 1], half_depth=rest[3 * n + 2])
            for n, d in enumerate(dtypes)
        }
        return DeviceTable(name=found.device, launch_s=launch, bytes_per_s=bandwidth, arithmetic=kinds)

    def residuals(logs: np.ndarray) -> np.ndarray:
        made = table(logs)
        return np.array([math.log(made.seconds(one.work, one.dtype) / one.seconds) for one in timed])

    # The larger of two times has corners where a search may stop: it starts from several sides.
    starts = [
        np.array(start) + np.array([0.0, 0.0, *[0.0, shift, shift / 2] * len(dtypes)]) for shift in (-4.0, 0.0, 4.0)
    ]
    low = np.array([-30.0, 0.0, *[0.0, -3.0, -3.0] * len(dtypes)])
    high = np.array([5.0, 50.0, *[50.0, 25.0, 12.0] * len(dtypes)])
    fits = [
        least_squares(residuals, np.clip(s, low, high), bounds=(low, high), loss="soft_l1", f_scale=_OUTLIER)
        for s in starts
    ]
    return table(min(fits, key=lambda fit: fit.cost).x)


def _energy(table: DeviceTable, timed: list[Timed]) -> DeviceTable:
    """The same table with energies: joules = power · measured seconds + bytes · a + MACs · b, all of them 0 or more."""
    import numpy as np

    dtypes = sorted(table.arithmetic)
    columns = np.array(
        [
            [one.seconds, one.work.moved_bytes, *(one.work.macs if one.dtype == d else 0 for d in dtypes)]
            for one in timed
        ],
        float,
    ) / np.array([one.joules for one in timed])[:, None]  # fmt: skip
    size = np.abs(columns).max(axis=0)
    found, _ = _scipy().nnls(columns / size, np.ones(len(timed)))
    static_w, per_byte, *per_mac = (found / size).tolist()
    kinds = {d: replace(table.arithmetic[d], pj_per_mac=1e12 * j) for d, j in zip(dtypes, per_mac, strict=True)}
    return replace(table, arithmetic=kinds, static_w=static_w, pj_per_byte=1e12 * per_byte)


def _tested(table: DeviceTable, measured: TimedNetwork) -> NetworkError:
    from picojoule.frontends import load_model

    network = load_model(measured.model).with_batch(measured.batch)
    seconds, joules = table.network(network, measured.dtype)
    known = joules is not None and measured.joules is not None
    return NetworkError(
        model=measured.model,
        dtype=measured.dtype,
        batch=measured.batch,
        seconds=measured.seconds,
        seconds_error=seconds / measured.seconds - 1,
        joules=measured.joules,
        joules_error=joules / measured.joules - 1 if known and joules is not None and measured.joules else None,
    )


def _deviation(errors: list[float]) -> Deviation:
    ordered = sorted(abs(error) for error in errors)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Deviation(median=median, worst=ordered[-1], count=len(ordered))


def _scipy() -> Any:
    try:
        import scipy.optimize
    except ImportError:
        raise MissingExtraError("fitting a table needs scipy", hint="pip install 'picojoule[study]'") from None
    return scipy.optimize
