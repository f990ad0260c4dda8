"""The page: what it says, that nothing in it can reach out or run, and that equal input gives equal bytes."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from spark_jobs import taxa_figures, taxa_page
from spark_jobs.taxa_page import Thresholds
from tests.spark_jobs.species_rows import category_frame, species_frame

_BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus")
_OAK = ("Plantae", "Tracheophyta", "Magnoliopsida", "Fagales", "Fagaceae", "Quercus")
HOSTILE = (
    "</script><script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "\"><svg onload=document.title='ran'>&amp;",
)


def _species() -> pd.DataFrame:
    return species_frame(
        [
            ((*_BIRD, "merula"), 1200, "Common Blackbird"),
            ((*_BIRD, "pilaris"), 20, None),
            ((*_OAK, "robur"), 34, "English Oak"),
            ((*_OAK, "rubra"), 30, "Northern Red Oak"),
        ]
    )


def _hostile_species() -> pd.DataFrame:
    return species_frame([((*_BIRD[:5], name, name), 10 + number, name) for number, name in enumerate(HOSTILE)])


def _page(species: pd.DataFrame, rare: int = 30, cap: int = 1000) -> str:
    return taxa_page.render(species, category_frame(species, rare, cap), Thresholds(rare, cap))


class _Elements(HTMLParser):
    """Every start tag with its attributes, and the text of each element by its id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.by_id: dict[str, str] = {}
        self._id = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self.by_id[self._id] = self.by_id.get(self._id, "") + data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def _data(page: str) -> dict:
    return json.loads(_Elements(page).by_id["data"])


def test_says_what_the_tables_say() -> None:
    text = _Elements(_page(_species())).text
    assert "1,284 photos of 4 species" in text
    assert "Aves has the most photos: 95 % of all" in text
    assert "3 species (75 %) have at least 30 photos, 98 % of all photos together" in text
    assert "A long tail: 25 % of the species have fewer than 30 photos" in text
    assert "Turdus merula" in text
    assert "Common Blackbird" in text


def test_every_threshold_has_a_row_and_those_asked_are_marked() -> None:
    page = _page(_species(), rare=31, cap=60)
    table = page[page.index("What each threshold would keep") :]
    rows = re.findall(r'<tr( class="asked")?><th scope="row">([\d,]+)', table)
    assert [number for _, number in rows] == ["25", "31", "50", "60", "75", "100", "200", "500", "1,000"]
    assert [number for asked, number in rows if asked] == ["31", "60"]


def test_lists_at_most_forty_species_most_photos_first() -> None:
    species = species_frame([((*_BIRD, f"s{number:03}"), number + 1) for number in range(50)])
    page = _page(species)
    shown = re.findall(r"<em>Turdus (s\d+)</em>", page[: page.index('id="tail"')])
    assert shown == [f"s{number:03}" for number in range(49, 9, -1)]


def test_bars_are_as_long_as_their_numbers() -> None:
    page = _page(_species())
    categories = page[page.index('id="categories"') : page.index('id="top"')]
    top = page[page.index('id="top"') : page.index('id="tail"')]
    # Photos: Aves 1,220 and Plantae 64; species: two each; then the four species.
    assert re.findall(r"width:([\d.]+%)", categories) == ["100.00%", "5.25%", "100.00%", "100.00%"]
    assert re.findall(r"width:([\d.]+%)", top) == ["100.00%", "2.83%", "2.50%", "1.67%"]


def test_needs_nothing_from_elsewhere() -> None:
    page = _page(_species())
    elements = _Elements(page)
    links = [value for _, attrs in elements.tags for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert not {tag for tag, _ in elements.tags} & {"link", "iframe", "object", "embed", "img", "base"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon", page)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert outside <= {"http://www.w3.org/2000/svg"}
    policy = next(attrs["content"] or "" for tag, attrs in elements.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")


def test_hostile_names_stay_text() -> None:
    page = _page(_hostile_species())
    elements = _Elements(page)
    assert [tag for tag, _ in elements.tags if tag == "script"] == ["script", "script"]
    assert not [attrs for _, attrs in elements.tags for name in attrs if name.startswith("on")]
    assert "img" not in {tag for tag, _ in elements.tags}
    assert sorted(_data(page)["taxonomy"]["leaves"]["common"]) == sorted(HOSTILE)
    assert all(name in elements.text for name in HOSTILE)


def test_data_is_the_species_table() -> None:
    data = _data(_page(_species()))
    leaves = data["taxonomy"]["leaves"]
    assert data["categories"] == ["Aves", "Plantae"]
    assert leaves["epithet"] == ["merula", "robur", "rubra", "pilaris"]
    assert leaves["photos"] == [1200, 34, 30, 20]
    assert leaves["place"] == [1, 1, 2, 2]
    assert data["thresholds"] == {"rare": 30, "cap": 1000}


def test_row_order_changes_no_byte() -> None:
    species = _species()
    categories = category_frame(species, 30, 1000)
    shuffled = taxa_page.render(species.iloc[::-1], categories.iloc[::-1], Thresholds(30, 1000))
    assert shuffled == _page(species)


def test_other_taxa_are_called_so() -> None:
    species = species_frame([(("Animalia", "Chordata", "Amphibia", "Anura", "Ranidae", "Rana", "temporaria"), 3)])
    assert "Taxa outside the seven categories have the most photos: 100 % of all" in _Elements(_page(species)).text


def test_without_species_there_is_a_page_that_says_so() -> None:
    page = _page(species_frame([]))
    assert "no photo that is known to species yet" in page
    assert "<script" not in page


def test_one_species_with_one_photo() -> None:
    page = _page(species_frame([((*_BIRD, "merula"), 1)]), rare=0, cap=1)
    assert _data(page)["histogram"] == [[1, 1, 1]]
    assert "Half of all photos show only" in page


def test_species_beyond_the_limit_are_summed_up_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taxa_figures, "LISTED_SPECIES", 3)
    page = _page(_species())
    assert len(_data(page)["taxonomy"]["leaves"]["photos"]) == 3
    text = _Elements(page).text
    assert "shown for the 3 with the most photos; the other 1 are summed up" in text
    assert "Searches the 3 species with the most photos" in text


def test_sixty_thousand_species_stay_below_8_mb() -> None:
    rows = [
        (("Animalia", "Arthropoda", "Insecta", f"Order{n % 40}", f"Familyname{n % 900}", f"Genusname{n % 15_000}",
          f"epithetname{n}"), 1 + 60_000 // (n + 1), f"Some Common Name {n}")
        for n in range(60_000)
    ]  # fmt: skip
    assert len(_page(species_frame(rows)).encode()) < 8_000_000


def test_write_is_whole_or_not_at_all_and_writes_once(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "taxa.html"
    assert taxa_page.write(path, "<p>ä</p>")
    assert path.read_bytes() == "<p>ä</p>".encode()
    assert not taxa_page.write(path, "<p>ä</p>")
    assert taxa_page.write(path, "<p>b</p>")
    assert [each.name for each in path.parent.iterdir()] == ["taxa.html"]


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, "0 %"), (0, 5, "0 %"), (1, 3000, "< 0.1 %"), (1, 20, "5.0 %"), (1, 3, "33 %"), (997, 1000, "99.7 %"),
     (99_999, 100_000, "> 99.9 %"), (5, 5, "100 %")],
)  # fmt: skip
def test_shares(part: int, whole: int, expected: str) -> None:
    assert taxa_page.format_share(part, whole) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (9_500, "9,500"), (12_345, "12.3 k"), (999_950, "1 M"), (4_560_000, "4.56 M"), (2e9, "2 G")],
)
def test_short_numbers(value: float, expected: str) -> None:
    assert taxa_page.format_short_number(value) == expected


@pytest.mark.process
def test_in_a_browser_everything_is_drawn_and_no_name_runs(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here to open the page with")
    species = pd.concat([_species(), _hostile_species().assign(taxon_id=[10, 11, 12])], ignore_index=True)
    path = tmp_path / "taxa.html"
    taxa_page.write(path, _page(species))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom",
               path.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "<title>Taxa: 1,317 photos of 7 species</title>" in done.stdout
    assert len(re.findall(r"<polyline ", done.stdout)) == 2  # a line per category
    assert len(re.findall(r'class="column"', done.stdout)) == len(_data(path.read_text())["histogram"])
    assert len(re.findall(r'<button class="tile ', done.stdout)) == 2  # two kingdoms
    assert re.search(r'<tr class="total"><th scope="row">all</th><td>3 ', done.stdout)
