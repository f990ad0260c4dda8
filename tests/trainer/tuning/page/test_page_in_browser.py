"""The page of a search in a browser: axes filter, a chosen line is chosen everywhere, keys do what the mouse does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, browser_page
from tests.trainer.tuning.page.example_searches import about, search, trial
from tests.trainer.tuning.page.test_page import hostile_search
from trainer.tuning.page.page import write_page

pytestmark = pytest.mark.process

WIDTHS_PX = (1280, 400)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("twenty"), *search(20))


def _opened(page: Page, path: Path, width: int) -> None:
    page.requests.clear()
    page.open(path, width)
    assert page.errors == []
    assert set(page.requests) == {path.as_uri()}
    assert page.overflow_px() == 0


def _shown(page: Page) -> list[int]:
    """Numbers of the trials in the table, in its order."""
    return page.evaluate(
        "[...document.querySelectorAll('#table tbody tr:not([hidden])')].map((row) => +row.dataset.trial)"
    )


def _text(page: Page, selector: str) -> str:
    return page.evaluate(f"document.querySelector('{selector}').textContent")


def _point_of(page: Page, script: str) -> tuple[float, float]:
    """Where in the window a point of the first chart is."""
    page.evaluate("document.getElementById('lines').scrollIntoView({block: 'center', behavior: 'instant'})")
    page.settle()
    x, y = page.evaluate(
        f"(([x, y]) => {{ const box = charts[0].svg.getBoundingClientRect(); return [box.left + x, box.top + y]; }})"
        f"({script})"
    )
    return x, y


def _mouse(page: Page, kind: str, point: tuple[float, float], buttons: int = 0) -> None:
    button: dict[str, Any] = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
    page.send("Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], buttons=buttons, **button)


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    _mouse(page, "mouseMoved", start)
    _mouse(page, "mousePressed", start, 1)
    for part in (0.3, 0.6, 1):
        between = (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
        _mouse(page, "mouseMoved", between, 1)
    _mouse(page, "mouseReleased", end)
    page.settle()


def _press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)
    page.settle()


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_dragging_along_an_axis_keeps_the_trials_in_its_range(page: Page, twenty: Path, width: int) -> None:
    _opened(page, twenty, width)
    assert len(_shown(page)) == 20
    axis = "axes[0].scale.place"
    rates = {one["trial"]: one["settings"]["lr"] for one in search(20)[0]}
    highest = max(
        rate for rate in rates.values() if rate < 8e-3
    )  # of a line, which the drag ends on but does not choose
    ends = [_point_of(page, f"[charts[0].paths[0][0][0], charts[0].y({axis}({lr}))]") for lr in (1e-3, highest * 1.01)]
    _drag(page, *ends)
    expected = {number for number, rate in rates.items() if 1e-3 <= rate <= highest}
    assert 2 < len(expected) < 18
    assert set(_shown(page)) == expected
    faded = page.evaluate("[...document.querySelectorAll('#lines .base.out')].map((line) => +line.dataset.trial)")
    assert {*faded} == set(range(20)) - expected
    assert _text(page, "#kept") == f"{len(expected)} of 20 trials have lr 0.001 to {highest * 1.01:.3g}."
    assert _text(page, "#chosen") == "No trial is chosen."
    page.evaluate("document.querySelector('.strip').dispatchEvent(new Event('dblclick'))")
    assert len(_shown(page)) == 20
    _drag(page, *ends)
    assert set(_shown(page)) == expected
    page.click("#clear")
    assert len(_shown(page)) == 20
    assert page.evaluate("document.querySelectorAll('.base.out').length") == 0
    ends_now = page.evaluate(
        "[...document.querySelectorAll('.handle')].map((handle) => handle.getAttribute('aria-valuenow'))"
    )
    assert ends_now == ["0", "100"] * 5
    assert (page.errors, page.overflow_px()) == ([], 0)


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_a_chosen_line_is_chosen_in_curves_and_table(page: Page, twenty: Path, width: int) -> None:
    _opened(page, twenty, width)
    place = page.evaluate("placeOf(7)")
    path = f"charts[0].paths[{place}]"
    tip = _point_of(page, f"[0.5 * ({path}[0][0] + {path}[1][0]), 0.5 * ({path}[0][1] + {path}[1][1])]")
    _mouse(page, "mouseMoved", tip)
    page.settle()
    assert _text(page, "#tip").startswith("trial 7\nval-top1 ")
    _mouse(page, "mousePressed", tip, 1)
    _mouse(page, "mouseReleased", tip)
    page.settle()
    assert _text(page, "#chosen").startswith("Trial 7, finished, val-top1 ")
    assert _text(page, "#table tr.chosen th").split() == ["7"]
    assert page.evaluate("document.querySelector('#table tr.chosen button').getAttribute('aria-pressed')") == "true"
    for chart in ("lines", "loss", "evals"):
        chosen = page.evaluate(f"document.querySelector('#{chart} .over polyline.chosen').getAttribute('points')")
        base = page.evaluate(f"document.querySelector('#{chart} .base[data-trial=\"7\"]').getAttribute('points')")
        assert chosen == base
    assert (page.errors, page.overflow_px()) == ([], 0)


def test_best_and_default_stand_out_in_every_chart(page: Page, twenty: Path) -> None:
    _opened(page, twenty, 1280)
    for chart in ("lines", "loss", "evals"):
        kinds = page.evaluate(
            f"[...document.querySelectorAll('#{chart} .over polyline')].map((line) => line.className.baseVal)"
        )
        assert kinds == ["casing", "default", "casing", "best"]


def test_keys_do_what_the_mouse_does(page: Page, twenty: Path) -> None:
    _opened(page, twenty, 1280)
    order = _shown(page)
    page.evaluate("charts[0].base.focus()")
    _press(page, "ArrowDown")
    _press(page, "ArrowDown")
    assert _text(page, "#chosen").startswith(f"Trial {order[1]} (default), ")
    assert page.evaluate("charts[0].base.getAttribute('aria-valuenow')") == "2"
    _press(page, "Escape")
    assert _text(page, "#chosen") == "No trial is chosen."
    page.evaluate('document.querySelector(\'[data-axis="val-top1"][data-end="0"]\').focus()')
    for _ in range(5):
        _press(page, "PageUp")
    kept = _shown(page)
    assert 0 < len(kept) < 15
    assert kept == order[: len(kept)]
    assert _text(page, "#kept").startswith(f"{len(kept)} of 20 trials have val-top1 ")
    _press(page, "Escape")
    assert _shown(page) == order
    page.click("#table tbody tr:nth-child(3) button")
    assert _text(page, "#chosen").startswith(f"Trial {order[2]}, ")
    assert page.errors == []


def test_the_table_is_sorted_by_any_column_with_nothing_at_the_end(page: Page, twenty: Path) -> None:
    _opened(page, twenty, 1280)
    trials = search(20)[0]
    page.click("#table th:nth-child(4) button")
    by_rate = sorted(trials, key=lambda one: one["settings"]["lr"])
    assert _shown(page) == [one["trial"] for one in by_rate]
    page.click("#table th:nth-child(4) button")
    assert _shown(page) == [one["trial"] for one in reversed(by_rate)]
    page.click("#table th:nth-child(3) button")
    assert _shown(page)[-2:] == [5, 14]
    page.click("#table th:nth-child(3) button")
    assert _shown(page)[-2:] == [5, 14]
    page.click("#table th:nth-child(2) button")
    assert _shown(page)[:3] == [5, 14, 0]
    assert page.evaluate(
        "[...document.querySelectorAll('[aria-sort=ascending]')].map((cell) => cell.dataset.name)"
    ) == ["status"]


def _odd_searches() -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    equal = [trial(number, metric=0.5, status="ok") for number in range(4)]
    failed = [trial(number, metric=None, status="failed", curve=[], evals=[]) for number in range(4)]
    zeros = [trial(number, settings=dict.fromkeys(("lr", "beta1", "beta2", "wd"), 0), metric=0) for number in range(3)]
    points = [trial(number, curve=[[1, 2.0]], evals=[[1, 0.1]]) for number in range(3)]
    return {
        "none": ([], about([])),
        "one": search(1),
        "equal": (equal, about(equal)),
        "failed": (failed, about(failed)),
        "zeros": (zeros, about(zeros, best=0)),
        "points": (points, about(points)),
        "hostile": hostile_search(),
        "many": search(500),
    }


@pytest.mark.parametrize("name", _odd_searches())
def test_opens_whatever_came_out(page: Page, tmp_path: Path, name: str) -> None:
    trials, facts = _odd_searches()[name]
    _opened(page, write_page(tmp_path, trials, facts), 400)
    assert page.evaluate("document.title").startswith("Tuning: ")
    drawn = page.evaluate(
        "[...document.querySelectorAll('polyline, path, text, line')].map((each) => each.outerHTML).join()"
    )
    assert "NaN" not in drawn
    assert "Infinity" not in drawn
    assert page.evaluate("document.querySelectorAll('#lines .base').length") == len(trials)


def _with_long_names(folder: Path) -> Path:
    trials, facts = search(8)
    for one in trials:
        one["settings"] = one["settings"] | {"label_smoothing": one["trial"] / 10, "warmup_steps": 100 * one["trial"]}
    more = {"label_smoothing": [0.01, 1.0], "warmup_steps": [1.0, 800.0]}
    return write_page(folder, trials, facts | {"space": facts["space"] | more})


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_labels_of_axes_do_not_overlap(page: Page, twenty: Path, tmp_path: Path, width: int) -> None:
    for path in (twenty, _with_long_names(tmp_path)):
        _opened(page, path, width)
        boxes = page.evaluate(
            "[...document.querySelectorAll('#lines text')].map((text) => text.getBoundingClientRect())"
            ".map(({left, right, top, bottom}) => [left, right, top, bottom])"
        )
        for place, (left, right, top, bottom) in enumerate(boxes):
            for other in boxes[:place]:
                assert right <= other[0] or other[1] <= left or bottom - 3 <= other[2] or other[3] <= top + 3
        edge = page.evaluate("document.getElementById('lines').getBoundingClientRect().right")
        assert all(box[1] <= edge + 1 for box in boxes)
