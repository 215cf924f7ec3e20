"""The top of the page: what the network costs, how far from the floor that is, what binds it, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from picojoule.reporting.figures import NONE, counted, listing, percent, time_scale, times
from picojoule.reporting.headline import machine_size, table_text, widths_text
from picojoule.reporting.page.bars import Part, legend, stack
from picojoule.reporting.page.markup import Markup, tag
from picojoule.reporting.page.reading import Reading
from picojoule.units import significant


def top(reading: Reading) -> Markup:
    """Title, verdict, key figures, and one bar of all the energy."""
    estimate = reading.estimate
    shape = "×".join(map(str, estimate.input_shape))
    about = [shape] if shape else []
    about += [widths_text(estimate), *machine_size(estimate.hardware), f"table {table_text(estimate.table)}"]
    if estimate.batch > 1:
        about.insert(1, f"batch {estimate.batch}")
    return tag(
        "header",
        tag("h1", tag("span", estimate.model), tag("small", " on "), tag("span", reading.machine)),
        tag("p", " · ".join(about), class_="about"),
        [tag("p", warning, class_="warning") for warning in _warnings(reading)],
        tag("p", list(_verdict(reading)), class_="verdict"),
        _key_figures(reading),
        _whole(reading),
        id="top",
    )


def _verdict(reading: Reading) -> Iterator[Markup | str]:
    estimate, total = reading.estimate, reading.estimate.energy_pj
    per = "per inference" if estimate.batch == 1 else f"per inference in batches of {estimate.batch}"
    yield "An inference takes " if estimate.batch == 1 else ""
    yield tag("strong", reading.energy(estimate.energy_pj_per_inference))
    yield "" if estimate.batch == 1 else f" {per}"
    if estimate.floor_pj:
        yield ", "
        yield tag("strong", times(total, estimate.floor_pj))
        yield " the floor that no mapping on this machine can go below. "
    else:
        yield ". "
    yield _proof(reading)
    if total:
        yield from _what_binds(reading)
    if reading.busy is not None:
        yield f"The array is busy {percent(reading.busy)} of {_time(reading)}."


def _proof(reading: Reading) -> str:
    estimate = reading.estimate
    layers = [layer for layer in estimate.layers if layer.dims is not None]
    proved = [layer for layer in layers if layer.status == "PROVED" and layer.gap == 0]
    given = [layer for layer in layers if layer.status == "GIVEN"]
    aim = {"energy": "", "latency": " for least latency", "edp": " for least energy × delay"}.get(estimate.objective, "")
    if layers and len(proved) == len(layers):
        return f"All {len(layers)} mappings are proved optimal{aim} in the space that was searched. "
    said = f"{len(proved)} of {len(layers)} mappings are proved optimal{aim}"
    if given:
        said += f", {len(given)} were given"
    return f"{said}; at most {percent(estimate.gap)} is left to gain in the space that was searched. " if estimate.gap else f"{said}. "


def _what_binds(reading: Reading) -> Iterator[Markup | str]:
    total = reading.estimate.energy_pj
    pairs: dict[tuple[str, str], list[float]] = {}
    for layer in reading.estimate.layers:
        for access in layer.by:
            pairs.setdefault((access.level, access.tensor), []).append(access.energy_pj)
    sums = {pair: math.fsum(values) for pair, values in pairs.items()}
    levels = sorted(reading.levels, key=lambda name: -reading.levels[name])
    first = levels[0]
    if first in ("mac", "vector"):
        yield "Arithmetic takes most, "
        yield tag("strong", percent(reading.levels[first] / total))
        memories = [name for name in levels if name not in ("mac", "vector", "leakage")]
        if memories:
            yield f", before {memories[0]} with {percent(reading.levels[memories[0]] / total)}. "
        else:
            yield ". "
        return
    tensors = {tensor: value for (level, tensor), value in sums.items() if level == first}
    main = max(tensors, key=lambda name: tensors[name])
    yield tag("strong", first)
    yield f" takes most, {percent(reading.levels[first] / total)}"
    yield f", above all for its {main} ({percent(tensors[main] / total)}). " if main != "none" else ". "


def _time(reading: Reading) -> str:
    estimate = reading.estimate
    if estimate.latency_s is not None:
        scale = time_scale([estimate.latency_s])
        return f"{scale.text(estimate.latency_s)} {scale.unit}"
    return f"{counted(estimate.latency_cycles)} cycles"


def _key_figures(reading: Reading) -> Markup:
    estimate = reading.estimate
    tiles = [("energy", reading.energy(estimate.energy_pj_per_inference), "per inference")]
    tiles.append(("floor", reading.energy(estimate.floor_pj / estimate.batch), "for any mapping"))
    if estimate.latency_cycles is not None:
        per = "per batch" if estimate.batch > 1 else "per inference"
        if estimate.latency_s is None:
            tiles.append(("latency", counted(estimate.latency_cycles), f"cycles {per}"))
        else:
            tiles.append(("latency", _time(reading), per))
    if estimate.throughput_inf_s is not None:
        tiles.append(("throughput", f"{significant(estimate.throughput_inf_s)}/s", "inferences, one by one"))
    if estimate.gops_per_w is not None:
        tiles.append(("efficiency", counted(estimate.gops_per_w), "GOPS/W, two operations a MAC"))
    if estimate.power_w is not None:
        tiles.append(("power", f"{significant(estimate.power_w)} W", f"at {significant(estimate.fps or 0)} inferences a second"))
    if estimate.accuracy is not None:
        tiles.append(("accuracy", percent(estimate.accuracy), ""))
    tiles.append(("off chip", _bytes(estimate.dram_bytes / estimate.batch), "per inference"))
    covered = estimate.coverage.get("macs")
    tiles.append(("coverage", NONE if covered is None else percent(covered), "of MACs costed"))
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value, tag("small", more))) for name, value, more in tiles], class_="tiles")


def _bytes(value: float) -> str:
    number, prefix = counted(value).partition(" ")[::2]
    return f"{number} {prefix}B"


def _whole(reading: Reading) -> Markup | None:
    total = reading.estimate.energy_pj
    if not total:
        return None
    parts = [
        Part(size=value, colour=reading.colours[name], tip=f"{name} · {reading.energy(value)} · {percent(value / total)}")
        for name, value in reading.levels.items()
    ]
    key = [(name, reading.colours[name], percent(value / total)) for name, value in reading.levels.items()]
    return tag("div", stack(parts, total, total, "whole"), legend(key))


def _warnings(reading: Reading) -> Iterator[str]:
    estimate = reading.estimate
    if reading.altered:
        yield "This result file is not what was written: its contents don't match its hash. “picojoule verify” says more."
    if estimate.table.get("estimated"):
        yield "Nobody published energies of this machine: rules made for other chips stand in for them."
    missing = estimate.coverage.get("not_costed") or []
    if missing:
        yield f"Not costed: {listing((entry['op'], entry['count']) for entry in missing)}."
    interrupted = [layer for layer in estimate.layers if layer.status == "INTERRUPTED"]
    if interrupted:
        yield f"The search was interrupted: {len(interrupted)} layers have the best mapping found until then."
    if estimate.counting != "exact":
        yield f"Accesses are counted as {estimate.counting} counts them, for comparing: not the exact traffic."
