"""Settings, durations and reasons as the page says them."""

import pytest

from trainer.tuning.page import words as page_words
from trainer.tuning.page.curves import averaged, points_per_curve, sampled


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("lr", 2e-3, "0.002"), ("lr", 5e-4, "5e-4"), ("lr", 1.2345e-4, "1.23e-4"), ("lr", 1e-5, "1e-5"),
        ("wd", 0.0, "0"), ("wd", 0.2, "0.2"), ("beta1", 0.9, "0.9"), ("beta1", 0.85123, "0.851"),
        ("beta1", 0.98, "0.98"), ("beta2", 0.99987654, "0.999877"), ("beta2", 0.999, "0.999"), ("beta2", 1.0, "1"),
        ("warmup", 2000.0, "2,000"), ("warmup", 12345678.0, "1.23e7"), ("lr", None, "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_settings(name: str, value: float | None, text: str) -> None:
    assert page_words.setting(name, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.94, "9.9 s"), (9.96, "10 s"), (99.4, "99 s"), (100, "2 min"), (5960, "99 min"), (5970, "1 h 40 min"),
     (90_000, "25 h 0 min"), (None, "\N{EN DASH}")],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert page_words.duration(seconds) == text


def test_a_reason_is_one_readable_line() -> None:
    assert page_words.reason("a\n\tb\x00\x1b[0m \ud800") == "a b [0m ?"
    assert page_words.reason(None) == ""
    assert len(page_words.reason("word " * 9999)) <= page_words.MOST_CHARACTERS + 2


@pytest.mark.parametrize("length", [0, 1, 2, 19, 20, 21, 40, 999])
def test_thinned_curves_keep_their_ends_and_their_mean(length: int) -> None:
    points = [(float(step), float(step**2)) for step in range(length)]
    thin, few = averaged(points, 20), sampled(points, 20)
    assert len(thin) == len(few) == min(20, length)
    assert few[-1:] == points[-1:]
    assert thin == sorted(thin)
    if length <= 20:
        assert thin == few == points
    if length % 20 == 0 and length:
        mean = sum(value for _, value in points) / length
        assert sum(value for _, value in thin) / 20 == pytest.approx(mean)


def test_points_stay_few() -> None:
    assert points_per_curve(0) == points_per_curve(1) == 300
    assert points_per_curve(500) == 80
    assert points_per_curve(10**6) == 20
