"""Long stages say how far they are."""

from __future__ import annotations

from support import digit_network

from picojoule.compress.bits import sensitivity_to_bits
from picojoule.compress.countdown import Countdown
from picojoule.compress.weights import sensitivity


def test_it_says_what_is_left_but_not_at_every_step():
    now, lines = [0.0], []
    told = Countdown(lines.append, "measuring", clock=lambda: now[0])
    assert lines == ["measuring"]
    for seconds, done in ((1, 0.01), (10, 0.1), (12, 0.12), (100, 0.25), (150, 0.75), (199, 1.0)):
        now[0] = seconds
        told(done)
    assert lines[1:] == [
        "measuring: 10%, about 2 min left",
        "measuring: 25%, about 5 min left",
        "measuring: 75%, about 50 s left",
    ]


def test_the_stages_that_measure_layers_come_from_0_towards_1():
    module, batches = digit_network.trained(), digit_network.batches()[:1]
    for stage in (
        lambda done: sensitivity(module, batches, (1.0, 0.5), done=done),
        lambda done: sensitivity_to_bits(module, batches, (8, 4), done=done),
    ):
        shares = []
        stage(shares.append)
        assert shares[0] == 0 and shares == sorted(shares) and 0.5 < shares[-1] < 1
