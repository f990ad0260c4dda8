"""The page of a sweep: whole, the same for equal sweeps, harmless whatever names say, and drawn in a real browser."""

import pytest

from release.interpolate.page import render, write_page
from tests.browser import browser_page
from tests.release.interpolate.sweeps import sweep

HOSTILE = "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"


def test_every_figure_stands_in_the_markup(tmp_path):
    path = write_page(tmp_path, sweep())
    text = path.read_text()
    assert path.name == "sweep.html"
    for figure in ("61.0 to 67.0", "12,345 pictures", "ab12ab12ab12", "+35.0", "&lt; 0.0001", "alpha 0.5"):
        assert figure in text, figure
    assert text == render(sweep())
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_one_benchmark_has_nothing_to_be_set_against():
    assert 'id="against"' not in render(sweep(names=("stages",)))


@pytest.mark.process
@pytest.mark.parametrize("width", [1280, 400])
def test_curves_are_drawn_and_benchmarks_can_be_chosen(tmp_path, width):
    path = write_page(tmp_path, sweep(HOSTILE, ("stages", HOSTILE, "birds_val")))
    with browser_page() as page:
        page.open(path, width)
        assert page.evaluate("document.querySelectorAll('#along polyline').length") == 3
        assert page.evaluate("document.querySelectorAll('#along circle').length") == 15
        before = page.evaluate("document.querySelector('#against polyline').getAttribute('points')")
        page.evaluate("across.value = 2; across.dispatchEvent(new Event('change'))")
        assert page.evaluate("document.querySelector('#against polyline').getAttribute('points')") != before
        outside = "[...document.querySelectorAll('circle')].filter((dot) => !(dot.cx.baseVal.value >= 0 && "
        outside += "dot.cx.baseVal.value <= innerWidth && dot.cy.baseVal.value >= 0)).length"
        assert page.evaluate(outside) == 0
        assert page.evaluate("document.title") != "ran"
        assert (page.errors, page.overflow_px(), set(page.requests)) == ([], 0, {path.as_uri()})


@pytest.mark.process
def test_equal_figures_and_both_limits_can_be_drawn(tmp_path):
    flat = sweep()
    for line in flat["benchmarks"]:
        line["top1"] = [{"value": 1.0, "low": 1.0, "high": 1.0}] * 5
        line["chance"] = None
    with browser_page() as page:
        page.open(write_page(tmp_path, flat), 1280)
        assert page.errors == []
        assert page.evaluate("[...document.querySelectorAll('circle')].every((dot) => isFinite(dot.cy.baseVal.value))")
        assert "NaN" not in page.evaluate("document.querySelector('main').innerHTML")
