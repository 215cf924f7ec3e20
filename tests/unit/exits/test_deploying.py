"""Bundles with operating points: from samples with labels to sessions that take α, a target or a budget per call."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from support import onnx_exits

from picojoule.cli.exits import command
from picojoule.compress import quantize_bundle
from picojoule.errors import BundleError, InputError, UsageError
from picojoule.exits import decide, deploy, leaving, logits_of_bundle
from picojoule.runtime import Confidence, Dial, Session, export_bundle, read_bundle
from picojoule.runtime.drift import DriftMonitor, DriftWarning
from picojoule.runtime.manifest import content_hash

ENERGIES = (1e6, 4e6, 1e7)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    return export_bundle(onnx_exits.saved(folder / "net.onnx", onnx_exits.exits()), folder / "plain")


@pytest.fixture(scope="module")
def data(plain):
    """Samples to choose and to calibrate, with labels that later exits know better."""

    return onnx_exits.labelled(plain, 1500, 1), onnx_exits.labelled(plain, 1500, 2)


@pytest.fixture(scope="module")
def adaptive(plain, data, tmp_path_factory):
    return deploy(
        plain, tmp_path_factory.mktemp("deploy") / "adaptive", data[0], ENERGIES,
        calibration=data[1], rule="margin", combine=True, levels=12, machine="eyeriss-v1",
    )  # fmt: skip


def test_points_are_what_the_calibration_samples_give(adaptive, data):
    operation = adaptive.manifest.operation
    assert operation.held_out and operation.images == 1500 and operation.machine == "eyeriss-v1"
    assert operation.energies_j == pytest.approx(np.array(ENERGIES) * 1e-12)
    assert len(operation.points) > 5
    session, (x, labels) = Session(adaptive), data[1]
    for number, point in list(enumerate(operation.points))[:: len(operation.points) // 3]:
        answer = session.run(x, energy_budget_j=point.energy_j)
        assert answer.point == session.point(energy_budget_j=point.energy_j)
        if answer.point == number:
            assert np.bincount(answer.exits, minlength=3).tolist() == list(point.left)
            assert (answer.top(1)[0][:, 0] == labels).mean() == pytest.approx(point.accuracy)
            assert answer.energy_pj.mean() * 1e-12 == pytest.approx(point.energy_j)
    assert all(a.at_least <= b.at_least for a, b in zip(operation.points, operation.points[1:], strict=False))
    assert all(point.at_least < point.accuracy for point in operation.points)


@pytest.mark.parametrize(("rule", "combine"), [("max", False), ("entropy", True), ("learned", True), ("margin", False)])
def test_a_session_leaves_where_the_decision_would(plain, data, tmp_path, rule, combine):
    """The session scores sample by sample and compacts; the decision scores all exits at once."""
    made = deploy(plain, tmp_path / "b", data[0], ENERGIES, rule=rule, combine=combine, levels=6)
    operation = made.manifest.operation
    spread = [len([count for count in point.left if count > 100]) for point in operation.points]
    number = max(range(len(spread)), key=spread.__getitem__)
    x = onnx_exits.images(64, seed=9)
    found = decide(logits_of_bundle(plain, data[0][0]), data[0][1], [e for e in ENERGIES], target_accuracy=0.3, rule=rule, combine=combine, levels=6)
    scored = found.policy.scorer.read(logits_of_bundle(plain, x))
    thresholds = [np.inf if t is None else t for t in operation.points[number].thresholds]
    want = leaving(scored.score, thresholds)
    session = Session(made, energy_budget_j=operation.points[number].energy_j)
    assert session.point(energy_budget_j=operation.points[number].energy_j) == number
    for batch in (1, 64):
        answers = [session.run(x[n : n + batch]) for n in range(0, 64, batch)]
        assert np.concatenate([one.exits for one in answers]).tolist() == want.tolist()
        classes = np.concatenate([one.top(1)[0][:, 0] for one in answers])
        assert classes.tolist() == scored.predicted[want, np.arange(64)].tolist()
    assert len(set(want.tolist())) > 1


def test_each_wish_gets_its_point(adaptive):
    operation = adaptive.manifest.operation
    points, session = operation.points, Session(adaptive)
    for alpha in (0.0, 0.2, 0.5, 1.0):
        costs = [alpha * p.energy_j / operation.energies_j[-1] + (1 - alpha) * (1 - p.accuracy) for p in points]
        assert costs[session.point(alpha=alpha)] == min(costs)
    target = points[len(points) // 2].at_least
    taken = points[session.point(target_accuracy=target)]
    assert taken.at_least >= target and taken.energy_j == min(p.energy_j for p in points if p.at_least >= target)
    budget = points[3].energy_j * 1.001
    taken = points[session.point(energy_budget_j=budget)]
    assert taken.energy_j <= budget and taken.accuracy == max(p.accuracy for p in points if p.energy_j <= budget)
    assert session.point() == operation.default == len(points) - 1
    # What the session was made for holds where a call doesn't say.
    frugal, x = Session(adaptive, alpha=1.0), onnx_exits.images(8)
    assert frugal.run(x).point == frugal.point(alpha=1.0) != frugal.run(x, alpha=0.0).point
    assert frugal.run(x, policy=Confidence((0.5, 0.5))).point is None


def test_wishes_that_cant_be_met_say_what_can(adaptive, plain):
    session, x = Session(adaptive), onnx_exits.images(2)
    with pytest.raises(UsageError, match="alpha and target_accuracy are given"):
        session.run(x, alpha=0.3, target_accuracy=0.5)
    with pytest.raises(UsageError, match="either a policy"):
        session.run(x, alpha=0.3, policy=None)
    with pytest.raises(UsageError, match="α lies in 0 … 1"):
        session.run(x, alpha=30)
    with pytest.raises(UsageError, match=r"the cheapest takes about 1\.00\d µJ an inference"):
        session.run(x, energy_budget_j=1e-9)
    best = max(point.accuracy for point in adaptive.manifest.operation.points)
    with pytest.raises(UsageError, match="(?s)guarantees an accuracy of .* calibrate on about \\d+ samples"):
        session.run(x, target_accuracy=best - 0.001)
    with pytest.raises(UsageError, match="no operating point is so accurate: the most accurate answers"):
        session.run(x, target_accuracy=0.999)
    with pytest.raises(UsageError, match="has no operating points to choose from \\(α 0.3\\)"):
        Session(plain).run(x, alpha=0.3)


def test_exits_that_are_not_asked_are_taken_out(plain, data, tmp_path):
    from picojoule.exits import ExitEnergies

    parts = ExitEnergies(trunk=(1e6, 3e6, 6e6), heads=(0.0, 5e7, 0.0))
    made = deploy(plain, tmp_path / "b", data[0], parts, ask="best", target_accuracy=0.5, rule="margin", levels=8)
    operation = made.manifest.operation
    assert [stage.name for stage in made.manifest.stages] == ["exit0", "exit2"]
    assert operation.energies_j == pytest.approx((1e-6, 1e-5)) and read_bundle(tmp_path / "b").manifest == made.manifest
    x = onnx_exits.images(40, seed=3)
    answer = Session(made).run(x)
    assert set(answer.exits.tolist()) <= {0, 1} and (answer.energy_pj <= 1.0001e7).all()
    every, fewer = Session(plain).every_exit(x), Session(made).every_exit(x)
    np.testing.assert_allclose([fewer[0][0], fewer[1][0]], [every[0][0], every[2][0]], atol=1e-5)
    import onnx

    kinds = [node.op_type for node in onnx.load_from_string(made.models[1]).graph.node]
    assert kinds.count("MatMul") == 1 and kinds.count("Conv") == 2


def test_a_manifest_with_points_survives_the_disk_and_is_checked(adaptive, tmp_path):
    assert read_bundle(adaptive.path).manifest == adaptive.manifest
    document = json.loads((adaptive.path / "manifest.json").read_text())
    assert document["schema"] == "picojoule/bundle/2"

    def changed(**more):
        other = json.loads(json.dumps(document))
        for path, value in more.items():
            table = other["operation"]
            *way, last = path.split("__")
            for step in way:
                table = table[int(step) if step.isdigit() else step]
            table[int(last) if last.isdigit() else last] = value
        other["content_hash"] = content_hash(other)
        from picojoule.runtime.manifest_file import manifest_of

        return manifest_of(json.dumps(other).encode(), where="manifest.json")

    with pytest.raises(BundleError, match="its points are of 2 exits, the stages have 3"):
        changed(
            energies_j=document["operation"]["energies_j"][1:], weights=[[1.0], [0.0, 1.0]],
            points=[{**p, "thresholds": p["thresholds"][:1], "left": [p["left"][0], sum(p["left"][1:])]} for p in document["operation"]["points"]],
        )  # fmt: skip
    with pytest.raises(BundleError, match=r"operation.points\[1\].left.*|add up to 1500"):
        changed(points__1__left=[1, 2, 3])
    with pytest.raises(BundleError, match="no confidence rule is called 'hope'"):
        changed(rule="hope")
    with pytest.raises(BundleError, match="3 exits need 2 thresholds, got 1"):
        changed(points__0__thresholds=[0.5])
    with pytest.raises(BundleError, match="there is no point 99"):
        changed(default=99)
    with pytest.raises(BundleError, match="true or false is expected"):
        changed(held_out=3)


def test_data_that_dont_do(plain, data, tmp_path):
    x, labels = data[0]
    with pytest.raises(InputError, match="the calibration set is empty"):
        deploy(plain, tmp_path / "b", data[0], ENERGIES, calibration=(x[:0], labels[:0]))
    with pytest.raises(InputError, match="300 of 300 calibration samples are among those that choose"):
        deploy(plain, tmp_path / "b", data[0], ENERGIES, calibration=(data[0][0][:300], data[0][1][:300]))
    with pytest.raises(InputError, match="there is no sample to choose"):
        deploy(plain, tmp_path / "b", (x[:0], labels[:0]), ENERGIES)
    few = (data[1][0][:40], data[1][1][:40])
    with pytest.raises(InputError, match="(?s)40 calibration samples guarantee .* at most.*calibrate on about \\d+ samples"):
        deploy(plain, tmp_path / "b", data[0], ENERGIES, calibration=few, target_accuracy=0.7, levels=5)
    assert not (tmp_path / "b").exists()


def test_bundles_of_one_exit_are_points_of_a_dial(data, tmp_path):
    x, labels = data[0]
    made = []
    for number, energy in enumerate((1e6, 4e6)):
        bundle = export_bundle(onnx_exits.saved(tmp_path / "one.onnx", onnx_exits.exits(1)), tmp_path / "one", force=True)
        made.append(deploy(bundle, tmp_path / f"{number}", data[0], [energy], calibration=data[1] if number else None))
    cheap, dear = (one.manifest.operation for one in made)
    assert len(cheap.points) == 1 and cheap.points[0].thresholds == () and cheap.points[0].energy_j == pytest.approx(1e-6)
    right = (logits_of_bundle(made[0], data[1][0])[0].argmax(1) == data[1][1]).mean()
    assert dear.points[0].accuracy == pytest.approx(right) and dear.points[0].at_least < right
    dial = Dial(made, threads=1)
    assert dial.choose(alpha=1.0) == (0, 0) and dial.choose(target_accuracy=dear.points[0].at_least)[0] in (0, 1)
    for rows in (x[:1], x[:30]):
        number, answer = dial.run(rows, energy_budget_j=2e-6)
        assert number == 0 and answer.point == 0 and set(answer.exits.tolist()) == {0} and answer.drift is None
        np.testing.assert_allclose(answer.outputs[0], dial.sessions[0].every_exit(rows)[0][0], atol=1e-6)
        assert answer.energy_pj == pytest.approx(np.full(len(rows), 1e6))


def test_the_command_and_python_choose_the_same_rule_where_none_is_named(plain):
    """``exits deploy`` takes margin, ``exits decide`` the largest probability, on the terminal as in Python."""
    for name, function in (("deploy", deploy), ("decide", decide)):
        option = next(one for one in command.commands[name].params if one.name == "rule")
        assert option.default == inspect.signature(function).parameters["rule"].default


def test_int8_stages_answer_nearly_alike_and_can_be_deployed(plain, data, tmp_path):
    small = quantize_bundle(plain, tmp_path / "int8", data[0][0][:200], compare=data[1][0], labels=data[1][1])
    facts = small.manifest.quantization
    assert facts.compared_on == 1500 and facts.calibrated_on == 200
    assert min(facts.agreement) > 0.9 and min(facts.max_abs_difference) > 0
    assert all(abs(a - b) < 0.05 for a, b in zip(facts.accuracy_before, facts.accuracy_after, strict=True))
    assert read_bundle(tmp_path / "int8").manifest == small.manifest
    import onnx

    operators = {node.op_type for content in small.models for node in onnx.load_from_string(content).graph.node}
    assert "QuantizeLinear" in operators and "DequantizeLinear" in operators
    made = deploy(small, tmp_path / "both", data[0], ENERGIES, levels=5)
    assert made.manifest.quantization == facts and Session(made, alpha=0.5).run(data[0][0][:5]).energy_pj is not None
    with pytest.raises(UsageError, match="8 bits already"):
        quantize_bundle(made, tmp_path / "again", data[0][0])
    with pytest.raises(InputError, match="calibration set is empty"):
        quantize_bundle(plain, tmp_path / "none", data[0][0][:0])


def test_no_change_is_seldom_reported_and_a_change_soon(adaptive):
    """60 windows without a change at a false-alarm rate of 0.05; then a change late in a session."""
    operation, rng = adaptive.manifest.operation, np.random.default_rng(0)
    number = len(operation.points) // 2
    rates = np.array(operation.points[number].rates)
    alarms = 0
    for _ in range(60):
        # The calibration counts scatter, too: each window has drawn its own.
        drawn = rng.multinomial(operation.images, rates)
        points = tuple(replace(p, left=tuple(drawn.tolist())) if k == number else p for k, p in enumerate(operation.points))
        monitor = DriftMonitor(replace(operation, points=points), false_alarm=0.05, window=500)
        alarms += any(monitor.add(number, rng.choice(3, 100, p=rates)) is not None for _ in range(5))
    assert alarms <= 0.05 * 60
    monitor = DriftMonitor(operation, window=500)
    for _ in range(10):  # ten windows as calibrated, then harder samples
        assert monitor.add(number, rng.choice(3, 500, p=rates)) is None
    harder = np.array([0.3, 0.3, 0.4]) * rates + np.array([0, 0, 1 - rates @ [0.3, 0.3, 0.4]])
    found = monitor.add(number, rng.choice(3, 500, p=harder))
    assert found is not None and found.after <= 500 and monitor.reported is found
    assert found.expected == pytest.approx(rates) and "expected" in str(found)


def test_samples_one_by_one_are_counted_as_in_a_batch(adaptive):
    operation, rng = adaptive.manifest.operation, np.random.default_rng(3)
    number = len(operation.points) // 2
    single, whole = (DriftMonitor(operation, window=500) for _ in range(2))
    exits = rng.choice(3, 100, p=[0.1, 0.1, 0.8])
    first = next(one for one in [single.add(number, exits[n : n + 1]) for n in range(100)] if one is not None)
    late = next(one for one in [whole.add(number, part) for part in np.split(exits, 10)] if one is not None)
    assert late.after - 9 <= first.after <= late.after and first.expected == pytest.approx(late.expected)
    assert single.in_window == whole.in_window == single.samples == 100
    single._look()
    np.testing.assert_allclose(single._wealth, whole._wealth)
    np.testing.assert_allclose((single._left, single._expected), (whole._left, whole._expected))


def test_a_session_reports_a_change_once_a_window(adaptive):
    session = Session(adaptive, alpha=0.3, window=400)
    number = session.point(alpha=0.3)
    x = onnx_exits.images(100, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert session.run(x).drift is None
    # Flat images: no exit is as sure of them.
    assert adaptive.manifest.operation.points[number].rates[2] < 0.9
    found = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found += [session.run(0.02 * x).drift for _ in range(3)]
    assert sum(one is not None for one in found) == 1
    assert [one.category for one in said] == [DriftWarning] and "samples leave elsewhere" in str(said[0].message)
