"""A session answers as the network does, lets samples leave where they may, and runs only the others on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from support import onnx_exits

from picojoule.errors import InputError, UsageError
from picojoule.runtime import Confidence, Session, export_bundle
from picojoule.runtime.session_latency import LEAST_S, PER_OCTAVE, Histogram
from picojoule.runtime.session_policy import uniform_policy
from picojoule.runtime.session_stage import Stage

ENERGIES = (5.0, 7.0, 11.0)


def bundle_of(folder, made, **more):
    source = onnx_exits.saved(folder / "net.onnx", made)
    return export_bundle(source, folder / "net.bundle", **more)


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    return bundle_of(tmp_path_factory.mktemp("staged"), onnx_exits.exits(), energies_pj=ENERGIES)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return bundle_of(tmp_path_factory.mktemp("plain"), onnx_exits.exits(1))


def network(made, x):
    """What onnxruntime says of the network as a whole."""
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": x})


def softmax(scores, temperature=1.0):
    grown = np.exp(scores.astype(np.float64) / temperature)
    return grown / grown.sum(1, keepdims=True)


def test_one_stage_is_the_network(plain):
    x = onnx_exits.images(5)
    (want,) = network(onnx_exits.exits(1), x)
    answer = Session(plain, threads=1).run(x)
    np.testing.assert_allclose(answer.outputs[0], want, atol=1e-5)
    assert answer.exits.tolist() == [0] * 5 and len(answer) == 5 and answer.energy_pj is None


def test_without_a_policy_all_go_to_the_last_exit(staged):
    x = onnx_exits.images(6)
    answer = Session(staged).run(x)
    assert answer.exits.tolist() == [2] * 6
    np.testing.assert_allclose(answer.outputs[0], network(onnx_exits.exits(), x)[2], atol=1e-5)
    assert answer.energy_pj.tolist() == [sum(ENERGIES)] * 6


def test_every_exit_answers_as_the_network(staged):
    x = onnx_exits.images(4)
    found = Session(staged).every_exit(x)
    for (scores,), want in zip(found, network(onnx_exits.exits(), x), strict=True):
        np.testing.assert_allclose(scores, want, atol=1e-5)


@pytest.mark.parametrize("thresholds", [(0.9, 0.9), (0.5, 0.99), (None, 0.7), (0.7, None), (0.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("count", [1, 2, 33])
def test_each_sample_leaves_at_the_first_exit_that_is_sure(staged, thresholds, count):
    x = onnx_exits.images(count, seed=count)
    scores = np.stack(network(onnx_exits.exits(), x))
    sure = np.stack([softmax(one).max(1) for one in scores])
    limits = [2.0 if limit is None else limit for limit in (*thresholds, 0.0)]
    want = (sure >= np.array(limits)[:, None]).argmax(0)
    answer = Session(staged).run(x, policy=Confidence(thresholds))
    assert answer.exits.tolist() == want.tolist()
    np.testing.assert_allclose(answer.outputs[0], scores[want, np.arange(count)], atol=1e-5)
    assert answer.energy_pj.tolist() == np.cumsum(ENERGIES)[want].tolist()
    np.testing.assert_allclose(answer.probabilities, softmax(answer.outputs[0]), atol=1e-5)


def test_the_thresholds_above_use_every_exit(staged):
    """So that the test above can't pass on samples that all go one way."""
    answer = Session(staged).run(onnx_exits.images(33, seed=33), policy=Confidence((0.9, 0.9)))
    assert set(answer.exits.tolist()) == {0, 1, 2}


def test_only_samples_that_go_on_run_the_next_stage(staged, monkeypatch):
    seen = []
    run = Stage.run

    def watched(self, held, outputs, **more):
        seen.append(len(held[self.inputs[0]]))
        return run(self, held, outputs, **more)

    monkeypatch.setattr(Stage, "run", watched)
    answer = Session(staged).run(onnx_exits.images(33, seed=33), policy=Confidence((0.9, 0.9)))
    left = np.bincount(answer.exits, minlength=3)
    assert seen == [33, 33 - left[0], left[2]]
    seen.clear()
    Session(staged).run(onnx_exits.images(5), policy=Confidence((0.0, 0.0)))
    assert seen == [5]


def test_a_policy_sees_only_who_is_on_the_way_and_may_change_from_call_to_call(staged):
    class Odd:
        """Lets every second sample go."""

        def __init__(self):
            self.seen = []

        def leaves(self, exit, probabilities):
            self.seen.append((exit, len(probabilities), probabilities.sum(1)))
            return np.arange(len(probabilities)) % 2 == 0

    policy, session = Odd(), Session(staged)
    answer = session.run(onnx_exits.images(8), policy=policy)
    assert answer.exits.tolist() == [0, 1, 0, 2, 0, 1, 0, 2]
    assert [(exit_, count) for exit_, count, _ in policy.seen] == [(0, 8), (1, 4)]
    assert all(np.allclose(sums, 1) for _, _, sums in policy.seen)
    assert session.run(onnx_exits.images(8), policy=None).exits.tolist() == [2] * 8


def test_a_policy_that_gives_no_bools_is_refused(staged):
    class Wrong:
        def leaves(self, exit, probabilities):
            return probabilities[:, 0]

    with pytest.raises(UsageError, match=r"it gave float32 of \[3\] for 3 samples; one bool each is needed"):
        Session(staged).run(onnx_exits.images(3), policy=Wrong())


def test_temperatures_and_thresholds_of_the_manifest_are_used(tmp_path):
    made = onnx_exits.exits()
    bundle = bundle_of(tmp_path, made, temperatures=(3.0, 1.0, 0.5), thresholds=(0.7, 0.8))
    x = onnx_exits.images(40)
    scores = network(made, x)
    sure = np.stack([softmax(one, t) for one, t in zip(scores, (3.0, 1.0, 0.5), strict=True)])
    want = (sure.max(2) >= np.array([0.7, 0.8, 0.0])[:, None]).argmax(0)
    assert set(want.tolist()) == {0, 1, 2}
    answer = Session(bundle).run(x)
    assert answer.exits.tolist() == want.tolist()
    np.testing.assert_allclose(answer.probabilities, sure[want, np.arange(40)], atol=1e-5)


def test_outputs_that_are_probabilities_already(tmp_path):
    made = onnx_exits.exits(probabilities=True)
    bundle = bundle_of(tmp_path, made, temperatures=(1.0, 2.0, 1.0))
    assert [one.scores for one in bundle.manifest.exits] == ["probabilities"] * 3
    x = onnx_exits.images(4)
    want = network(made, x)
    np.testing.assert_allclose(Session(bundle).run(x).probabilities, want[2], atol=1e-6)
    flattened = np.sqrt(want[1]) / np.sqrt(want[1]).sum(1, keepdims=True)
    seen = []

    class Watch:
        def leaves(self, exit, probabilities):
            seen.append(probabilities)
            return np.zeros(len(probabilities), dtype=bool)

    Session(bundle).run(x, policy=Watch())
    np.testing.assert_allclose(seen[1], flattened, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_a_network_of_a_fixed_batch_takes_any_number(tmp_path, count):
    bundle = bundle_of(tmp_path, onnx_exits.exits(batch=4), thresholds=(0.9, 0.9))
    assert bundle.manifest.batch == 4
    x = onnx_exits.images(count)
    free = onnx_exits.exits()
    scores = np.stack(network(free, x))
    answer = Session(bundle).run(x)
    want = (np.stack([softmax(one).max(1) for one in scores]) >= np.array([0.9, 0.9, 0])[:, None]).argmax(0)
    assert answer.exits.tolist() == want.tolist()
    np.testing.assert_allclose(answer.outputs[0], scores[want, np.arange(count)], atol=1e-5)


def test_top_k_is_in_order_and_of_equals_the_first(plain):
    answer = Session(plain).run(onnx_exits.images(7))
    classes, probabilities = answer.top(3)
    assert classes.shape == probabilities.shape == (7, 3)
    assert (np.diff(probabilities, axis=1) <= 0).all()
    assert classes[:, 0].tolist() == answer.outputs[0].argmax(1).tolist()
    tied = replace(answer, outputs=(np.array([[1.0, 2.0, 2.0, 0.0]], dtype=np.float32),), exits=np.zeros(1, dtype=np.int64))
    assert tied.top(9)[0].tolist() == [[1, 2, 0, 3]]
    with pytest.raises(UsageError, match="at least 1 class"):
        answer.top(0)


def test_what_does_not_classify_has_outputs_only(tmp_path):
    bundle = bundle_of(tmp_path, onnx_exits.exits(1), scores="none")
    answer = Session(bundle).run(onnx_exits.images(2))
    assert answer.outputs[0].shape == (2, 4)
    with pytest.raises(UsageError, match="no scores of classes"):
        answer.top(1)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (np.zeros((2, 3, 6, 7), np.float32), InputError, r"the input is float32 of \[2, 3, 6, 7\]; the network takes float32 of \[samples, 3, 6, 6\]"),
        (np.zeros((2, 3, 6, 6)), InputError, "the input is float64"),
        (np.zeros((), np.float32), InputError, r"the input is float32 of \[\]"),
        ({"image": [1]}, UsageError, "inputs are numpy arrays, got list"),
        (np.zeros((0, 3, 6, 6), np.float32), InputError, "there is no sample"),
        ({"picture": np.zeros((1, 3, 6, 6), np.float32)}, UsageError, "the network takes image; got picture"),
        ([1, 2], UsageError, "inputs are numpy arrays, got list"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit(plain, inputs, error, message):
    with pytest.raises(error, match=message):
        Session(plain).run(inputs)


def test_a_confidence_needs_exits_and_a_range(plain, staged):
    with pytest.raises(UsageError, match="this bundle has one exit"):
        uniform_policy(plain.manifest, 0.5)
    with pytest.raises(UsageError, match="a confidence lies in 0 … 1, got 1.5"):
        uniform_policy(staged.manifest, 1.5)
    with pytest.raises(UsageError, match="at least 1 thread"):
        Session(plain, threads=0)


def test_every_run_is_in_the_histogram(plain):
    session = Session(plain)
    answers = [session.run(onnx_exits.images(2)) for _ in range(9)]
    assert session.latency.count == 9 == sum(session.latency.counts)
    assert session.latency.total_s == pytest.approx(sum(answer.latency_s for answer in answers))
    assert session.latency.most_s == max(answer.latency_s for answer in answers)


def test_quantiles_of_a_histogram_are_those_of_the_calls_to_half_a_bin():
    seconds = np.random.default_rng(0).lognormal(-6, 1, 5000)
    histogram = Histogram()
    for one in seconds:
        histogram.add(float(one))
    for share in (0.01, 0.5, 0.9, 0.999):
        want = np.quantile(seconds, share, method="inverted_cdf")
        assert histogram.quantile_s(share) == pytest.approx(want, rel=2 ** (0.5 / PER_OCTAVE) - 1 + 1e-9)
    assert histogram.mean_s == pytest.approx(seconds.mean())
    assert sum(count for _, _, count in histogram.octaves()) == 5000
    for low, high, count in histogram.octaves():
        assert count == ((seconds >= low) & (seconds < high)).sum()


def test_a_histogram_keeps_what_is_beyond_its_bins():
    histogram = Histogram()
    for seconds in (0.0, LEAST_S / 2, 1e5):
        histogram.add(seconds)
    assert histogram.counts[0] == 2 and histogram.counts[-1] == 1
    assert (histogram.quantile_s(1.0), Histogram().quantile_s(0.5), Histogram().mean_s) == (1e5, None, None)
