"""The page of a search: what it says without its script, that nothing in it can run or reach out, and equal bytes."""

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from taxonomy.errors import WorkFailedError
from tests.evaluation.report.test_page import HOSTILE, Elements
from tests.trainer.tuning.page.example_searches import DEFAULT, FAILED, SPACE, STOPPED, about, comparison, search, trial
from trainer.tuning.page.curves import MAX_POINTS, MOST_PER_CURVE
from trainer.tuning.page.page import render, write_page


def text_of(page: str) -> str:
    return Elements(page).text


def rows_of(page: str) -> list[list[str]]:
    """Texts of the cells of the table of trials."""
    table = page[page.index('id="table"') : page.index("</table>", page.index('id="table"'))]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in table.split("<tr")[2:]]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in rows]


def test_says_how_many_trials_came_out_how_and_what_was_searched() -> None:
    text = text_of(render(*search(20)))
    assert "20 trials: the best has 51.3 %, default 50.1 %" in text
    assert "Settings around the recipe tiny, chosen by val-top1 on validation: " in text
    assert "14 finished, 4 stopped early and 2 failed" in text
    assert "scheduler asha seed 7 trials 20" in text
    assert "lr 1e-4 to 0.01 evenly in log(lr) 0.002" in text
    assert "beta2 0.8 to 0.999 evenly in log(1 \N{MINUS SIGN} beta2) 0.98" in text


def test_every_trial_has_its_row_the_best_first_and_those_without_a_result_last() -> None:
    trials, facts = search(20)
    rows = rows_of(render(trials, facts))
    measured = sorted((one for one in trials if one["metric"] is not None), key=lambda one: -one["metric"])
    assert [int(row[0].split()[0]) for row in rows] == [*(one["trial"] for one in measured), 5, 14]
    assert rows[0][0] == f"{facts['best']} best"
    assert rows[-1][1:3] == ["failed", "\N{EN DASH}"]
    assert rows[-1][-1] == FAILED
    default = next(row for row in rows if row[0] == "0 default")
    assert default[1:] == ["finished", "50.1 %", "0.002", "0.9", "0.98", "0.2", "226", "53 s", ""]
    assert [row[-1] for row in rows if row[1] == "stopped early"] == [STOPPED] * 4


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (comparison(), r"3.1 percentage points better .*interval .0.4 to \+6.6\).*could explain this \(p = 0.087\)"),
        (comparison(0.05, 0.02, 0.08, 1e-6), r"5.0 percentage points better .*hardly explains this \(p < 0.0001\)\.$"),
        (comparison(-0.05, -0.08, -0.02, 0.001), r"5.0 percentage points worse .*hardly explains.*keep the default\.$"),
        (comparison(0.0, -0.01, 0.01, 1.0), r"as good as the default.*could explain this \(p = 1.00\)"),
        (comparison(0.03, -0.001, 0.07, 0.049), r"Chance alone could explain this \(p = 0.049\)"),
        (comparison() | {"p_value": None, "num_images": 0}, "There was no test picture"),
        (None, "has not been compared with the default on test"),
    ],
)  # fmt: skip
def test_the_comparison_says_whether_it_could_be_chance(made: dict[str, Any] | None, said: str) -> None:
    trials, facts = search(4)
    page = render(trials, facts | {"best": 1, "comparison": made})
    verdict = re.findall(r'class="verdict">(.*?)</p>', page)[0]
    assert re.search(said, verdict.replace("&lt;", "<"))
    assert ("less the default" in page) == (made is not None)


def test_a_best_trial_that_is_the_default_is_called_so() -> None:
    trials = [trial(0, metric=0.9), trial(1, metric=0.8)]
    text = text_of(render(trials, about(trials)))
    assert "2 trials: the best is the default, with 90.0 %" in text
    assert "The best trial is the default itself" in text
    assert "McNemar" not in text


def test_no_trial_yet() -> None:
    page = render([], about([], num_trials=20, best=None))
    assert "0 trials, none trained to the end" in text_of(page)
    assert "20 of 20 still to come" in text_of(page)
    assert "<script" not in page


def test_all_failed_or_running() -> None:
    trials = [
        trial(1, metric=None, status="failed", curve=[], evals=[]),
        {"trial": 2, "status": "running", "settings": DEFAULT},
    ]
    page = render(trials, about([], num_trials=2, best=None, default=None))
    assert "2 trials, none trained to the end" in text_of(page)
    assert "1 failed and 1 running" in text_of(page)
    assert "There is no best trial" in text_of(page)
    assert [row[1] for row in rows_of(page)] == ["failed", "running"]
    assert 'id="curves"' not in page


@pytest.mark.parametrize("num_trials", [1, 2, 20, 500])
def test_the_same_bytes_from_the_same_trials_in_any_order(num_trials: int, tmp_path: Path) -> None:
    trials, facts = search(num_trials)
    first = write_page(tmp_path, trials, facts)
    content = first.read_bytes()
    random.Random(1).shuffle(trials)
    assert write_page(tmp_path, trials, facts).read_bytes() == content
    assert first == tmp_path / "tune.html"
    assert len(content) < 1_000_000


def test_equal_metrics_stand_in_order_of_their_numbers() -> None:
    trials = [trial(number, metric=0.5, status="ok") for number in range(5)]
    assert [row[0].split()[0] for row in rows_of(render(trials, about(trials)))] == list("01234")


def test_numbers_that_are_none_do_not_reach_the_script() -> None:
    bad = (math.nan, math.inf, -math.inf, None, "text", True)
    curve = [[step, value] for step, value in enumerate([*bad, 1.5])]
    trials = [trial(0), *(trial(n, metric=v, settings=DEFAULT | {"wd": v}, curve=curve, evals=curve, seconds=v, steps=v)
                          for n, v in enumerate(bad, 1))]  # fmt: skip
    page = render(trials, about([trials[0]]))
    data = Elements(page).data
    assert "NaN" not in json.dumps(data)
    assert "Infinity" not in json.dumps(data)
    assert [one["values"][-2:] for one in data["trials"][1:]] == [[None, None]] * 6
    assert data["trials"][1]["curve"] == [[6, 1.5]]
    assert not re.search(r">[^<]*\b(nan|inf|None)\b", page[: page.index("<script")])


def test_the_script_gets_every_trial() -> None:
    trials, facts = search(20)
    data = Elements(render(trials, facts)).data
    assert [axis["name"] for axis in data["axes"]] == ["lr", "beta1", "beta2", "wd"]
    assert [one["trial"] for one in data["trials"]] == list(range(20))
    for one, given in zip(data["trials"], trials, strict=True):
        assert one["values"] == [*given["settings"].values(), given["metric"]]
        assert one["evals"] == [[step, pytest.approx(value, rel=1e-4)] for step, value in given["evals"]]


def test_long_curves_are_thinned_to_means() -> None:
    curve = [[step, float(step % 2)] for step in range(1000)]
    trials = [trial(number, curve=curve, evals=curve) for number in range(300)]
    page = render(trials, about(trials))
    data = Elements(page).data
    points = data["trials"][0]["curve"]
    assert sum(len(one["curve"]) for one in data["trials"]) <= MAX_POINTS
    assert len(points) <= MOST_PER_CURVE
    assert all(value == pytest.approx(0.5, abs=0.1) for _, value in points)
    assert data["trials"][0]["evals"][-1] == [999, 1.0]
    assert "each point the mean of several" in page
    assert "each point the mean of several" not in render(*search(3))


def hostile_search() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A search whose every text would run if it were markup."""
    settings = [DEFAULT | {HOSTILE[1]: 0.5}] * 3
    reasons = (HOSTILE[0] * 20, HOSTILE[1] + "\x00\x1b[31m\ud800\u202e", HOSTILE[2])
    trials = [trial(n, settings=settings[n], reason=reason, status="failed") for n, reason in enumerate(reasons)]
    trials[2]["status"] = HOSTILE[1]
    return trials, about(trials, metric=HOSTILE[0], recipe=HOSTILE[1], scheduler=HOSTILE[2], num_trials=3,
                         space=SPACE | {HOSTILE[1]: [0.1, 1.0]})  # fmt: skip


def test_no_text_is_markup() -> None:
    elements = Elements(render(*hostile_search()))
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert not {tag for tag, _ in elements.tags} & {"img", "svg"}
    assert not [attrs for _, attrs in elements.tags if set(attrs) & {"onload", "onerror"}]
    assert HOSTILE[1] in elements.text


def test_a_long_reason_is_there_but_folded() -> None:
    reason = "Traceback: " + "\n  line of a file " * 60
    trials = [trial(0), trial(5, reason=reason)]
    page = render(trials, about(trials))
    first, rest = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page)[0]
    assert len(first) < 150
    assert f"{first.rstrip(' …')} {rest.lstrip('… ')}" == " ".join(reason.split())


def test_needs_nothing_from_elsewhere() -> None:
    page = render(*search(20))
    elements = Elements(page)
    links = [value for _, attrs in elements.tags for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert not {tag for tag, _ in elements.tags} & {"link", "iframe", "object", "embed", "img", "base"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|innerHTML", page)
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) <= {"http://www.w3.org/2000/svg"}
    policy = next(attrs["content"] or "" for tag, attrs in elements.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")


def test_links_lead_to_what_is_there() -> None:
    for num_trials in (0, 1, 20):
        elements = Elements(render(*search(num_trials)))
        ids = {attrs.get("id") for _, attrs in elements.tags}
        targets = {(attrs["href"] or "")[1:] for tag, attrs in elements.tags if tag == "a"}
        assert targets <= ids


def test_a_page_that_cannot_be_written_is_failed_work(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WorkFailedError, match=r"cannot write .*tune\.html"):
        write_page(tmp_path / "out", *search(1))
