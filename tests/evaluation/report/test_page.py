"""The report: what it says, that nothing in it can reach out or run, and that equal results give equal bytes."""

import json
import random
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from evaluation.report import page_data
from evaluation.report.page import render, write_report
from evaluation.results.result import file_name, read_results
from taxonomy.errors import BadInputError
from tests.evaluation.results.records import NAMES, record

HOSTILE = (
    "</script><script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "\"><svg onload=document.title='ran'>&amp;",
)


class Elements(HTMLParser):
    """Every start tag with its attributes, the text, and the data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._data = ""
        self._id = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        if self._id == "data":
            self._data += data
        else:
            self._texts.append(data)

    @property
    def text(self) -> str:
        """Spaces as a reader sees them."""
        return re.sub(r"\s+", " ", " ".join(self._texts))

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws from."""
        return json.loads(self._data.rpartition("}")[0] + "}")


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    return render(results, read_results(results))


def test_says_what_the_results_say(page: str) -> None:
    text = Elements(page).text
    assert "3 models on 4 benchmarks" in text
    assert "Zero-shot classification of 1,089 pictures" in text
    assert "BioTrove-Unseen 300 pictures, 30 classes; published figures: 300 classes" in text
    assert "25 classes; published" not in text
    assert "Every model against hf-hub:imageomics/bioclip, picture by picture" in text
    assert "published: BioTrove (NeurIPS 2024), Table 5" in text
    assert "Missing for hf-hub:imageomics/bioclip, oaks/epoch_12.pt and ViT-B-16: BioTrove-Balanced, BioCLIP" in text
    assert "Birds525 and BioTrove-LifeStages." in text
    assert "Of 303 rows: 1 without a file and 2 that cannot be read" in text
    assert "pictures/00005.jpg: cannot identify image file" in text


def test_every_model_has_its_figure_with_interval_in_every_row(page: str, results: Path) -> None:
    table = page[page.index("The same figures") : page.index('id="aggregates"')]
    cells = re.findall(r"<td>([\d.]+)<small>([\d.]+) to ([\d.]+)</small></td>", table)
    tops = [one["metrics"]["top1"] for one in read_results(results) if one["headline"]]
    assert sorted(cells) == sorted(tuple(f"{100 * top[end]:.1f}" for end in ("value", "low", "high")) for top in tops)
    assert len(cells) == 12


def test_published_figures_stand_in_rows_of_published_tasks_alone(page: str) -> None:
    table = page[page.index("The same figures") : page.index('id="aggregates"')]
    rows = {re.findall(r">([^<]+)</button>", row)[0]: row for row in table.split("<tr>")[3:]}
    assert list(rows) == ["BioTrove-Unseen", "Fungi", "DeepWeeds", "my garden"]
    published = {name: re.findall(r'class="published[^>]*>([\d.]+)<', row) for name, row in rows.items()}
    assert published["Fungi"] == ["11.5", "45.1", "24.6", "43.2", "53.9", "54.7"]
    assert published["my garden"] == []
    fixed = render(Path(), [record(benchmark="fungi", class_list="fixed")])
    assert "54.7" not in fixed[fixed.index("The same figures") : fixed.index('id="aggregates"')]


def test_dots_stand_where_their_figures_are(results: Path) -> None:
    top1 = {"value": 0.25, "low": 0.125, "high": 0.5}
    page = render(results, [record(metrics=record()["metrics"] | {"top1": top1})])
    plot = page[page.index('<div class="plot">') : page.index('class="axis"')]
    assert 'class="whisker" style="left:12.50%;width:37.50%"' in plot
    assert 'class="dot" style="left:25.00%"' in plot
    assert 'class="tick" style="left:33.33%"' in plot


def test_the_model_to_compare_with_can_be_chosen(results: Path) -> None:
    page = render(results, read_results(results), "ViT-B-16")
    assert "oaks/epoch_12.pt less ViT-B-16" in Elements(page).text
    with pytest.raises(BadInputError, match="--against RN50: no such model"):
        render(results, read_results(results), "RN50")


def test_the_script_gets_every_task_with_its_classes(page: str) -> None:
    data = Elements(page).data
    unseen, fungi, weeds, _ = data["benchmarks"]
    assert [task["level"] for task in unseen["tasks"]] == [
        "order", "genus", "scientific name", "order, rolled up", "genus, rolled up"
    ]  # fmt: skip
    assert unseen["shown"] == 2
    assert weeds["tasks"][0]["names"][-2:] == ["Snake weed", "Negative"]
    assert [model["n"] for model in weeds["tasks"][0]["models"]] == [[30] * 8 + [240]] * 3
    model = fungi["tasks"][0]["models"][0]
    assert sum(model["right"]) == pytest.approx(300 * model["metrics"]["top1"][0])
    assert [name for name, *_ in model["shots"]] == ["1-shot", "5-shot"]


def test_pictures_of_confusions_are_inside(page: str, results: Path) -> None:
    pictures = Elements(page).data["pictures"]
    assert len(pictures) > 20
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures.values())
    assert all((results / path).is_file() for path in pictures)


def test_many_pictures_leave_room_for_one_of_each_confusion(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [one for one in read_results(results) if one["headline"]]
    firsts = {
        confusion["examples"][0]["thumbnail"] for one in records for confusion in one["confusions"][:12]
    }  # fmt: skip
    size = sum((results / path).stat().st_size for path in firsts)
    monkeypatch.setattr(page_data, "MAX_PICTURES_BYTES", size)
    assert set(Elements(render(results, records)).data["pictures"]) == firsts


def test_no_file_but_a_thumbnail_gets_into_the_page(tmp_path: Path) -> None:
    jpeg = b"\xff\xd8\xff" + b"0" * 50
    good = tmp_path / "thumbnails" / "garden"
    good.mkdir(parents=True)
    (good / "1.jpg").write_bytes(jpeg)
    (good / "2.jpg").write_bytes(b"secret")
    (good / "3.jpg").write_bytes(jpeg * 1000)
    (tmp_path / "secret.jpg").write_bytes(jpeg)
    (tmp_path / "4.jpg").write_bytes(jpeg)
    paths = ["thumbnails/garden/1.jpg", "thumbnails/garden/2.jpg", "thumbnails/garden/3.jpg", "secret.jpg",
             str(tmp_path / "secret.jpg"), "thumbnails/../secret.jpg", "thumbnails/../4.jpg",
             "thumbnails/garden/../1.jpg", "thumbnails/garden/9.jpg"]  # fmt: skip
    examples = [{"row": row, "key": "k", "thumbnail": path} for row, path in enumerate(paths)]
    confusion = {"true": NAMES[0], "guessed": NAMES[1], "count": 2, "share": 0.5, "examples": examples}
    data = Elements(render(tmp_path, [record(confusions=[confusion])])).data
    assert list(data["pictures"]) == ["thumbnails/garden/1.jpg"]


def test_of_very_many_classes_the_worst_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MAX_CLASSES", 2)
    rows = [("a", 4, 4), ("b", 2, 1), ("c", 0, 0), ("d", 9, 0), ("e", 1, 1)]
    per_class = [{"name": name, "n": n, "right": right, "recall": right / n if n else None} for name, n, right in rows]
    data = Elements(render(Path(), [record(per_class=per_class)])).data
    assert data["benchmarks"][0]["tasks"][0]["names"] == ["b", "d"]


def test_needs_nothing_from_elsewhere(page: str) -> None:
    elements = Elements(page)
    links = [value for _, attrs in elements.tags for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert not {tag for tag, _ in elements.tags} & {"link", "iframe", "object", "embed", "img", "base"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|innerHTML", page)
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) <= {"http://www.w3.org/2000/svg"}
    policy = next(attrs["content"] or "" for tag, attrs in elements.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")


def hostile_record() -> dict[str, Any]:
    """A record whose every text would run if it were markup."""
    names = [{"name": name, "n": 2, "right": 1, "recall": 0.5} for name in HOSTILE]
    example = {"row": 1, "key": HOSTILE[1], "thumbnail": None}
    confusion = {"true": HOSTILE[0], "guessed": HOSTILE[1], "count": 1, "share": 0.5, "examples": [example]}
    about = {name: HOSTILE[0] for name in ("name", "activation", "activation_source", "pretrained")}
    return record(
        benchmark=HOSTILE[1],
        taxon=HOSTILE[2],
        protocol=HOSTILE[0],
        model=record()["model"] | about,
        prompts={"set": HOSTILE[1], "logit_scale": 1.0},
        preprocessing={"interpolation": HOSTILE[2]},
        per_class=names,
        confusions=[confusion],
        unreadable=[{"key": HOSTILE[0], "reason": HOSTILE[2]}],
        missing=[HOSTILE[1]],
    )


def test_hostile_texts_stay_text() -> None:
    elements = Elements(render(Path(), [hostile_record(), record()]))
    assert [tag for tag, _ in elements.tags if tag == "script"] == ["script", "script"]
    assert not [attrs for _, attrs in elements.tags for name in attrs if name.startswith("on")]
    assert not {"img", "svg"} & {tag for tag, _ in elements.tags}
    assert all(text in elements.text for text in HOSTILE)
    names = [task["names"] for benchmark in elements.data["benchmarks"] for task in benchmark["tasks"]]
    assert list(HOSTILE) in names


def test_equal_results_give_equal_bytes_in_any_order(page: str, results: Path) -> None:
    records = read_results(results)
    random.Random(1).shuffle(records)
    assert render(results, records) == page


def test_a_result_with_nothing_measured_has_a_page() -> None:
    none = {"value": None, "low": None, "high": None}
    empty = {"metrics": {"top1": none, "balanced_accuracy": none}, "num_images": 0, "majority": None, "confusions": []}
    rows = [{"name": name, "n": 0, "right": 0, "recall": None} for name in NAMES]
    text = Elements(render(Path(), [record(**empty, per_class=rows)])).text
    assert "1 model on 1 benchmark" in text


def test_is_written_beside_the_results_or_where_asked(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "copy")
    first = write_report(tmp_path / "copy")
    assert first == tmp_path / "copy" / "report.html"
    assert write_report(tmp_path / "copy", tmp_path / "new" / "page.html").read_bytes() == first.read_bytes()
    (tmp_path / "copy" / file_name(record())).write_text("{")
    with pytest.raises(BadInputError, match="not a result file"):
        write_report(tmp_path / "copy")


def test_two_thousand_classes_of_nine_models_stay_below_4_mb() -> None:
    per_class = [{"name": f"Genusname epithetname{n}", "n": 50, "right": n % 50, "recall": 0.5} for n in range(2253)]
    records = [
        record(benchmark="biotrove_balanced", model=record()["model"] | {"name": f"m{model}", "hash": f"{model}" * 64},
               taxon=taxon, headline=taxon == "scientific_name", per_class=per_class)
        for model in range(9) for taxon in ("scientific_name", "common_name", "species", "genus", "family")
    ]  # fmt: skip
    assert len(render(Path(), records).encode()) < 4_000_000
