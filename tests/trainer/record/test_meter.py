"""Sums and times between two logged steps."""

import json
import random

import pytest

from trainer.record.meter import Meter


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_window_holds_sums_and_times_and_a_new_one_begins():
    clock = Clock()
    meter = Meter(clock)
    for loss in (1.0, 2.0, 6.0):
        with meter.waiting():
            clock.now += 0.5
        clock.now += 1.5
        with meter.paused():
            clock.now += 1000
        for _ in range(2):
            meter.add(32, {"caption/sci": 30, "bad/no_caption": 1})
        meter.add_step()
        if loss < 6.0:
            meter.add_losses([loss])
    window = meter.take([6.0])
    assert (window.loss, window.num_steps, window.num_samples) == (3.0, 3, 192)
    assert window.counts == {"caption/sci": 180, "bad/no_caption": 6}
    assert (window.wall_s, window.wait_s) == (6.0, 1.5)
    assert (window.images_per_s, window.data_wait_share) == (32.0, 0.25)
    empty = meter.take()
    assert (empty.loss, empty.num_steps, empty.counts, empty.wall_s) == (None, 0, {}, 0.0)
    assert (empty.images_per_s, empty.data_wait_share) == (0.0, 0.0)


def test_steps_without_a_good_one_have_no_loss():
    meter = Meter()
    meter.add_step()
    window = meter.take([])
    assert (window.loss, window.num_steps) == (None, 1)


def test_an_error_while_waiting_or_paused_is_timed_too():
    clock = Clock()
    meter = Meter(clock)
    for block in (meter.waiting, meter.paused):
        with pytest.raises(StopIteration), block():
            clock.now += 2
            raise StopIteration
    window = meter.take()
    assert (window.wait_s, window.wall_s) == (2.0, 2.0)


@pytest.mark.parametrize("stop", range(8))
def test_a_meter_goes_on_from_its_state_to_the_same_mean(stop):
    draws = random.Random(stop)
    losses = [[draws.random()] if i != 2 else [] for i in range(7)]

    def add(meter: Meter, part: slice) -> None:
        for loss in losses[part]:
            meter.add(10, {"caption/com": 9})
            meter.add_step()
            meter.add_losses(loss)

    whole, first, clock = Meter(), Meter(), Clock()
    add(whole, slice(None))
    add(first, slice(stop))
    second = Meter(clock)
    clock.now += 50
    second.load(json.loads(json.dumps(first.state())))
    add(second, slice(stop, None))
    clock.now += 2
    expected, window = whole.take(), second.take()
    assert (window.loss, window.num_steps, window.num_samples) == (expected.loss, 7, 70)
    assert window.counts == expected.counts == {"caption/com": 63}
    assert (window.wall_s, window.timed_steps, window.timed_samples) == (2.0, 7 - stop, 70 - 10 * stop)
    assert window.images_per_s == (70 - 10 * stop) / 2
