"""The look-up table: what is kept under which key, what lies between grid points, and how layers are timed in company."""

from __future__ import annotations

import itertools
import sqlite3
import time
from dataclasses import replace

import onnx
import pytest
from support.small_onnx import small_network

import picojoule
from picojoule.errors import InputError, UsageError
from picojoule.runtime.latency_store import Context, LatencyStore, Timing
from picojoule.runtime.latency_table import LatencyTable, channel_block, typical
from picojoule.runtime.layer_models import (
    BALLAST_BYTES,
    CARRIED,
    CARRIED_BYTES,
    LayerShape,
    carrier,
    in_batches,
    shape_of,
)
from picojoule.runtime.timed_session import Run, open_session, quiet
from picojoule.workload.nest import Nest
from picojoule.workload.network import Layer, Network

HERE = Context(machine="m", runtime="onnxruntime 1", threads=1)
POINT = LayerShape("conv", Nest(C=64, K=128, P=14, Q=14))


def timing(seconds: float, joules: float | None = None) -> Timing:
    return Timing(seconds=seconds, q1_s=0.9 * seconds, q3_s=1.1 * seconds, samples=60, joules=joules)


def law(shape: LayerShape) -> float:
    """A latency that is linear in each number of channels, so that interpolation must hit it."""
    nest = shape.nest
    return 1e-6 + 1e-9 * nest.C * nest.K * nest.P + 1e-8 * nest.G + 1e-7 * nest.C


@pytest.fixture
def table() -> LatencyTable:
    """A table in which grid points follow ``law`` as soon as they are asked for; nothing is run."""
    made = LatencyTable(None, grid=(16, 64, 256, 1024))
    made._block = 16
    made.store.get = lambda context, shape: timing(law(shape), joules=2 * law(shape))  # type: ignore[method-assign]
    return made


def test_what_was_kept_comes_back_under_its_own_context_only(tmp_path):
    store = LatencyStore(tmp_path / "t.sqlite")
    store.put(HERE, [(POINT, timing(1.5, joules=0.25))])
    assert LatencyStore(tmp_path / "t.sqlite").get(HERE, POINT) == timing(1.5, joules=0.25)
    for other in (replace(HERE, machine="n"), replace(HERE, runtime="onnxruntime 2"), replace(HERE, threads=2)):
        assert store.get(other, POINT) is None
    assert store.get(HERE, LayerShape("conv", replace(POINT.nest, stride=(2, 2)))) is None
    assert store.get(HERE, LayerShape("fc", POINT.nest)) is None
    assert store.counts() == [(HERE, 1)]
    assert store.shapes(HERE) == [POINT]


def test_a_new_timing_replaces_the_old_one(tmp_path):
    store = LatencyStore(tmp_path / "t.sqlite")
    store.put(HERE, [(POINT, timing(1.0)), (POINT, timing(2.0))])
    assert store.get(HERE, POINT).seconds == 2.0


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    path.write_text("no database, " * 100)
    with pytest.raises(InputError, match="no look-up table"):
        LatencyStore(path)


def test_a_table_of_another_version_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    LatencyStore(path)
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 9")
    base.close()
    with pytest.raises(InputError, match="a look-up table of version 9; this picojoule reads 1"):
        LatencyStore(path)


@pytest.mark.parametrize(
    "nest",
    [
        Nest(C=96, K=160, P=14, Q=14),
        Nest(C=64, K=160, P=14, Q=14),
        Nest(C=992, K=16, P=7, Q=7),
        Nest(G=144, P=28, Q=28, R=3, S=3, pad=(1, 1, 1, 1)),
        Nest(C=3, K=48, P=16, Q=16, R=3, S=3, pad=(1, 1, 1, 1)),
    ],
)
def test_between_grid_points_a_linear_law_is_met(table, nest):
    shape = LayerShape("conv", nest)
    found = table.layer(shape)
    assert found.seconds == pytest.approx(law(shape), rel=1e-12)
    assert found.joules == pytest.approx(2 * law(shape), rel=1e-12)
    assert found.q1_s < found.seconds < found.q3_s


def test_channels_that_do_not_fill_a_block_cost_the_whole_block(table):
    narrow, whole = (LayerShape("conv", Nest(C=64, K=k, P=14, Q=14)) for k in (36, 48))
    assert table.layer(narrow).seconds == table.layer(whole).seconds
    assert (
        table.layer(LayerShape("fc", Nest(C=64, K=36))).seconds
        < table.layer(LayerShape("fc", Nest(C=64, K=48))).seconds
    )


def corners(table: LatencyTable, shape: LayerShape) -> set[tuple[int, int, int]]:
    return {(corner.nest.G, corner.nest.C, corner.nest.K) for corner, _ in table._corners(shape)}


def test_which_shapes_stand_for_another(table):
    assert corners(table, LayerShape("conv", Nest(C=96, K=160))) == {
        (1, 64, 64),
        (1, 64, 256),
        (1, 256, 64),
        (1, 256, 256),
    }
    assert corners(table, LayerShape("conv", Nest(C=64, K=160))) == {(1, 64, 64), (1, 64, 256)}
    # Fewer channels than a block are read in another layout, odd numbers by other kernels, and attention has its sizes.
    assert corners(table, LayerShape("conv", Nest(C=8, K=64))) == {(1, 8, 64)}
    assert corners(table, LayerShape("conv", Nest(C=65, K=70))) == {(1, 65, 70)}
    assert corners(table, LayerShape("conv", Nest(G=4, C=24, K=24))) == {(4, 24, 24)}
    assert corners(table, LayerShape("matmul", Nest(G=12, C=100, K=100))) == {(12, 100, 100)}
    # Beyond the grid a layer stands for itself.
    assert corners(table, LayerShape("conv", Nest(C=64, K=2000))) == {(1, 64, 2000)}


def test_a_network_is_the_sum_of_its_layers_and_one_run(table):
    nest = Nest(C=64, K=64, P=4, Q=4)
    layers = (
        Layer(name="a", kind="conv", nest=nest),
        Layer(name="b", kind="conv", nest=nest, repeats=3),
        Layer(name="pool", kind="pool", read_elements=5, written_elements=1),
    )
    found = table.predict(Network(name="n", layers=layers))
    assert found.layers_s == {
        "a": pytest.approx(law(shape_of(layers[0]))),
        "b": pytest.approx(3 * law(shape_of(layers[0]))),
    }
    assert found.latency_s == pytest.approx(sum(found.layers_s.values()) + found.run_s)
    assert found.left_out == ("pool",)


def test_a_grid_must_rise():
    with pytest.raises(UsageError, match="a grid of channels rises"):
        LatencyTable(None, grid=(64, 32))


def test_layers_that_were_not_prepared_are_named():
    with pytest.raises(UsageError, match="the table lacks layer conv1"):
        LatencyTable(None).predict(picojoule.load_model("mobilenet_v1"))


def test_runs_that_were_interrupted_are_left_out_unless_all_were():
    calm, torn, cold = Run(1e-3, 0.99e-3), Run(4e-3, 1e-3), Run(2e-3, 1.99e-3, warm=False)
    assert quiet([calm, torn, cold, *[calm] * 4]) == [1e-3] * 5
    assert quiet([torn, calm, *[cold] * 4]) == [1e-3, *[2e-3] * 4]
    assert quiet([torn, cold, torn]) == [4e-3, 2e-3, 4e-3]


def test_a_run_is_warm_right_after_another_that_nothing_interrupted():
    session = open_session(carrier([POINT]), threads=1, label="layers")
    assert not session.run().warm
    runs = [session.run() for _ in range(20)]
    assert [after.warm for before, after in itertools.pairwise(runs) if before.interrupted] == [False] * sum(
        r.interrupted for r in runs[:-1]
    )
    time.sleep(0.01)
    assert not session.run().warm


def test_the_typical_time_minds_no_outliers():
    assert typical([1.0, 2.0, 3.0, 1000.0]) == 2.5


def test_batches_are_full_but_not_too_full():
    small = [LayerShape("conv", Nest(C=8, K=8, P=n)) for n in range(1, 2 * CARRIED + 2)]
    assert [len(batch) for batch in in_batches(small)] == [CARRIED, CARRIED, 1]
    large = LayerShape("fc", Nest(C=4096, K=4096))
    assert large.weight_bytes > CARRIED_BYTES
    assert [len(batch) for batch in in_batches([small[0], large, small[1]])] == [1, 1, 1]


def test_layers_of_few_weights_run_beside_others_that_empty_the_nearest_cache():
    model = onnx.load_from_string(carrier([POINT]))
    assert sum(4 * _elements(w.dims) for w in model.graph.initializer) >= BALLAST_BYTES


def _elements(dims) -> int:
    product = 1
    for size in dims:
        product *= size
    return product


@pytest.mark.parametrize(
    "shape",
    [
        POINT,
        LayerShape("conv", Nest(C=3, K=8, P=16, Q=16, R=3, S=3, stride=(2, 2), pad=(1, 1, 0, 0))),
        LayerShape("conv", Nest(G=24, P=8, Q=8, R=3, S=3, dilation=(2, 2), pad=(2, 2, 2, 2), N=2)),
        LayerShape("conv", Nest(G=2, C=6, K=10, P=5, Q=7)),
        LayerShape("fc", Nest(C=100, K=30, P=7)),
        LayerShape("matmul", Nest(G=4, C=16, K=20, P=9)),
    ],
)
def test_every_kind_of_layer_runs_and_has_its_own_node(shape):
    session = open_session(carrier([shape]), threads=1, profiled=True, label="layers")
    session.run()
    names = [name for name, _, _ in session.node_events()]
    assert names.count("layer0") == 1


def test_the_runtime_tells_its_block_of_channels():
    assert channel_block() in (1, 4, 8, 16)


def test_a_real_network_is_measured_once_and_kept(tmp_path):
    network = picojoule.load_model(small_network(tmp_path / "small.onnx", channels=40))
    table = LatencyTable(tmp_path / "t.sqlite", rounds=1)
    seen = []
    measured = table.prepare(
        [network], meanwhile=lambda: seen.append("turn"), progress=lambda done, of: seen.append((done, of))
    )
    assert measured >= 3 and seen == ["turn", (1, 1)]
    found = table.predict(network)
    assert set(found.layers_s) == {"first", "second", "fc"}
    assert 0 < found.latency_s == sum(found.layers_s.values()) + found.run_s
    again = LatencyTable(tmp_path / "t.sqlite", rounds=1)
    assert again.prepare([network]) == 0
    assert again.predict(network) == found


class TenWatts:
    """A meter of a machine that always draws ten watts."""

    name, wraps_j = "ten watts", {"rail": None}

    def read_j(self) -> dict[str, float]:
        return {"rail": 10.0 * time.perf_counter()}


def test_with_a_meter_layers_have_energy(tmp_path):
    """At a constant power the energy of a layer is its time's, give or take what a busy machine adds."""
    network = Network(
        name="n",
        layers=(Layer(name="big", kind="conv", nest=Nest(C=128, K=128, P=28, Q=28, R=3, S=3, pad=(1, 1, 1, 1))),),
    )
    path = tmp_path / "t.sqlite"
    without = LatencyTable(path, rounds=1)
    without.prepare([network])
    assert without.predict(network).joules is None
    table = LatencyTable(path, rounds=1, counter=TenWatts())
    table._window_s = 0.05
    assert table.prepare([network]) == 1 and table.prepare([network]) == 0
    found = table.predict(network)
    assert 0 < found.joules and found.joules == table.layer(shape_of(network.layers[0])).joules


def test_the_surroundings_of_a_layer_are_the_same_without_it():
    def operators(model: bytes) -> list[str]:
        return [node.op_type for node in onnx.load_from_string(model).graph.node]

    assert operators(carrier([POINT])) == ["Gemm", "Conv", "Relu", "Conv", "Relu", "GlobalAveragePool"]
    assert operators(carrier([POINT], bare=True)) == ["Gemm", "Conv", "Relu", "GlobalAveragePool"]


def test_a_table_that_is_broken_off_leaves_no_profile_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LatencyTable(None, rounds=1).prepare(
            [Network(name="n", layers=(Layer(name="a", kind="fc", nest=Nest(C=64, K=64)),))], meanwhile=stop
        )
    assert not list(tmp_path.glob("picojoule-*"))
