"""Energy from counters: what a machine's own meters say, or why there is nothing to say.

A counter only grows, until it wraps. What is read is a whole domain (a processor with all that runs on it, its memory,
a GPU), so that other programs and idling are in it; both are stated beside the figure and never subtracted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

WINDOWS, WINDOW_S = 5, 0.5
"""Stretches of the same network over which energy is read, and their least length: counters tick every millisecond
(RAPL) to every tenth of a second (NVML)."""
_LONGEST_S = 20.0
"""How long a counter may go unread; the smallest of RAPL wrap after a minute at a kilowatt."""


class Counter(Protocol):
    """Energy counters of a machine.

    Attributes:
        name: of the meter, for example ``RAPL by zeus``.
        wraps_j: for each domain the joules at which it starts again from 0, or None where it never does.
    """

    name: str
    wraps_j: Mapping[str, float | None]

    def read_j(self) -> Mapping[str, float]:
        """The joules that stand on each domain now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of one run of a network, measured.

    Attributes:
        joules: of one run, all domains together: the median of the windows. None where nothing was measured.
        reason: why ``joules`` is None; empty if it isn't.
        counter: the meter.
        domains_j: of one run, by domain; the mean over all windows.
        windows_j: of one run, by window.
        runs: of the network in all windows.
        idle_w: power of the same domains just before, when this program did nothing. It is not subtracted.
    """

    joules: float | None
    reason: str = ""
    counter: str = ""
    domains_j: Mapping[str, float] | None = None
    windows_j: tuple[float, ...] = ()
    runs: int = 0
    idle_w: float | None = None


def measured_energy(
    run: Callable[[], object],
    counter: Counter,
    *,
    windows: int = WINDOWS,
    window_s: float = WINDOW_S,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Energy:
    """Runs ``run`` over and over and reads the counter around each window.

    Args:
        run: what is measured, once.
        counter: the meter.
        windows, window_s: how many, and how long at least.
        clock, sleep: seconds that pass, and how to let them.

    Returns:
        The energy of one run; with a reason in place of joules if a counter stood still.
    """
    began, before = clock(), counter.read_j()
    sleep(window_s)
    after, idle_s = counter.read_j(), clock() - began
    idle_w = sum(spent_j(before, after, counter.wraps_j).values()) / idle_s if idle_s > 0 else None
    each, domains, all_runs = [], dict.fromkeys(counter.wraps_j, 0.0), 0
    for _ in range(windows):
        spent, runs = _window(run, counter, window_s, clock)
        each.append(sum(spent.values()) / runs)
        domains = {domain: domains[domain] + spent.get(domain, 0.0) for domain in domains}
        all_runs += runs
    if not all(joules > 0 for joules in each):
        return Energy(
            joules=None, reason=f"{counter.name}: the counter stood still while the network ran", counter=counter.name
        )
    return Energy(
        joules=sorted(each)[len(each) // 2],
        counter=counter.name,
        domains_j={domain: joules / all_runs for domain, joules in domains.items()},
        windows_j=tuple(each),
        runs=all_runs,
        idle_w=idle_w,
    )


def spent_j(
    before: Mapping[str, float], after: Mapping[str, float], wraps_j: Mapping[str, float | None]
) -> dict[str, float]:
    """Joules between two readings, by domain; right across one wrap, whether the reader has noticed it or not."""
    spent = {}
    for domain, wraps in wraps_j.items():
        difference = after[domain] - before[domain]
        spent[domain] = difference % wraps if wraps else difference
    return spent


def _window(
    run: Callable[[], object], counter: Counter, window_s: float, clock: Callable[[], float]
) -> tuple[dict[str, float], int]:
    began = last = clock()
    before = counter.read_j()
    total = dict.fromkeys(counter.wraps_j, 0.0)
    runs = 0
    while True:
        run()
        runs += 1
        now = clock()
        over = now - began >= window_s
        if over or now - last >= _LONGEST_S:
            after = counter.read_j()
            for domain, joules in spent_j(before, after, counter.wraps_j).items():
                total[domain] += joules
            before, last = after, now
        if over:
            return total, runs
