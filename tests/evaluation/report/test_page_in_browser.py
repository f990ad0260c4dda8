"""The report in a real browser: at the width of a desk and of a phone it opens without an error and shows classes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.report.page import render, write_report
from tests.browser import Page, browser_page
from tests.evaluation.report.test_page import HOSTILE, hostile_record
from tests.evaluation.results.records import record

pytestmark = pytest.mark.process

WIDTHS_PX = (1280, 400)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture(scope="module")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("report") / "report.html")


def _opened(page: Page, path: Path, width: int) -> None:
    page.requests.clear()
    page.open(path, width)
    assert page.errors == []
    assert set(page.requests) == {path.as_uri()}
    assert page.evaluate("innerWidth") == width
    assert page.overflow_px() == 0


def _texts(page: Page, selector: str) -> list[str]:
    return page.evaluate(f"[...document.querySelectorAll('{selector}')].map((each) => each.textContent)")


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_opens_and_a_click_on_a_benchmark_shows_its_classes(page: Page, report: Path, width: int) -> None:
    _opened(page, report, width)
    assert _texts(page, "#classes tbody th")[:25] != []
    page.click('.dots [data-open="2"]')
    assert _texts(page, "#detail-title") == ["DeepWeeds"]
    assert sorted(_texts(page, "#classes tbody th"))[-3:] == ["Rubber vine", "Siam weed", "Snake weed"]
    page.wait_for("Math.abs(document.getElementById('detail').getBoundingClientRect().top) < 100")
    assert len(_texts(page, "#classes tbody tr:first-child td")) == 4
    page.click('td [data-open], th [data-open="1"]')
    assert _texts(page, "#detail-title") == ["Fungi"]
    assert "Boletus" in _texts(page, "#classes tbody th")[0]
    assert (page.errors, page.overflow_px()) == ([], 0)


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_curves_levels_and_pictures_are_drawn(page: Page, report: Path, width: int) -> None:
    _opened(page, report, width)
    assert len(_texts(page, "#calibration polyline")) == 3
    assert len(_texts(page, "#abstention polyline")) == 3
    assert len(_texts(page, "#levels .bar")) == 3 * (2 + 2 + 1)
    assert len(_texts(page, "#metrics tbody tr")) > 8
    pictures = page.evaluate("[...document.querySelectorAll('#gallery img')].map((each) => each.naturalWidth)")
    assert pictures
    assert all(0 < px <= 128 for px in pictures)


def _choose(page: Page, name: str, value: int) -> None:
    page.evaluate(f"(({name}) => {{ {name}.value = {value}; {name}.dispatchEvent(new Event('change')); }})"
                  f"(document.getElementById('{name}'))")  # fmt: skip


def test_levels_orders_and_words_can_be_chosen(page: Page, report: Path) -> None:
    _opened(page, report, 1280)
    page.click("#more-classes")
    assert len(_texts(page, "#classes tbody th")) == 30
    page.evaluate("document.getElementById('query').value = 'DAN alb'")
    page.evaluate("document.getElementById('query').dispatchEvent(new Event('input'))")
    assert _texts(page, "#classes tbody th") == ["Danaus alba"]
    _choose(page, "task", 4)
    assert "summed by lineage" in _texts(page, "#detail-facts")[0]
    assert sorted(_texts(page, "#classes tbody th"))[0] == "Amanita"
    assert page.evaluate("document.querySelectorAll('#gallery .pair').length") > 0
    assert page.evaluate("document.querySelectorAll('#gallery .pictures').length") == 0
    assert page.errors == []


def test_the_worst_class_comes_first(page: Page, tmp_path: Path) -> None:
    rows = [("b", 4, 4), ("a", 2, 1), ("c", 0, 0), ("d", 9, 0), ("e", 4, 0)]
    per_class = [{"name": name, "n": n, "right": right, "recall": right / n if n else None} for name, n, right in rows]
    (tmp_path / "report.html").write_text(render(tmp_path, [record(per_class=per_class, num_classes=5)]))
    _opened(page, tmp_path / "report.html", 1280)
    assert _texts(page, "#classes tbody th") == ["d", "e", "a", "b"]
    for order, expected in ((2, "bade"), (3, "bade"), (4, "abde")):  # best, as listed, by name
        _choose(page, "order", order)
        assert "".join(_texts(page, "#classes tbody th")) == expected
    assert "the list has 5, those without pictures are not shown" in _texts(page, "#classes-found")[0]


def test_no_name_runs(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(tmp_path, [hostile_record(), record()]))
    _opened(page, path, 400)
    page.click('.dots [data-open="0"]')
    assert page.evaluate("document.title") == "Evaluation: 2 models on 2 benchmarks"
    assert sorted(_texts(page, "#classes tbody th")) == sorted(HOSTILE)
    assert (page.errors, page.overflow_px()) == ([], 0)
