"""The page of `count` in a real browser, at the width of a desk and of a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_jobs import taxa_page
from spark_jobs.taxa_page import Thresholds
from tests.browser import Page, browser_page
from tests.spark_jobs.species_rows import category_frame, species_frame

pytestmark = pytest.mark.process

_BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus")
_OAK = ("Plantae", "Tracheophyta", "Magnoliopsida", "Fagales", "Fagaceae", "Quercus")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [((*_BIRD, f"epithet{n}"), 1200 // (n + 1), "Some Thrush with a Rather Long Name") for n in range(30)]
    species = species_frame([*rows, ((*_OAK, "robur"), 34, "English Oak"), ((*_OAK, "rubra"), 30)])
    path = tmp_path_factory.mktemp("page") / "taxa.html"
    taxa_page.write(path, taxa_page.render(species, category_frame(species, 30, 1000), Thresholds(30, 1000)))
    return path


@pytest.mark.parametrize("width", [1280, 400])
def test_opens_without_an_error_and_looks_into_a_kingdom(page: Page, path: Path, width: int) -> None:
    page.open(path, width)
    assert page.errors == []
    assert set(page.requests) == {path.as_uri()}
    assert page.evaluate("innerWidth") == width
    assert page.overflow_px() == 0
    assert page.evaluate("document.querySelectorAll('#tail-chart polyline').length") == 2
    page.click("#map .tile")
    assert page.evaluate("document.querySelector('#path b').textContent") == "Animalia"
    assert (page.errors, page.overflow_px()) == ([], 0)
