"""The restated scorer on cases worked by hand, and both numbers on the real CSV or one of its form."""

import csv

import numpy as np
import pytest

from bench.confounding_published import (
    COLUMNS,
    PAIRS,
    headline,
    main,
    score_others,
    score_planted,
    score_published,
)
from tests.evaluation.planted_rows import FIXTURES, SHARED

pytestmark = pytest.mark.torch


@pytest.fixture(params=["own", "real"])
def path(request):
    folder = FIXTURES if request.param == "own" else SHARED
    if not (folder / "confounding_species.csv").is_file():
        pytest.skip(f"no shared data at {folder} (set TAXAFLOW_SHARED)")
    return folder / "confounding_species.csv"


def test_a_csv_numbered_in_the_order_of_the_columns_is_scored_right():
    found = score_published(COLUMNS, range(10), np.eye(10), np.eye(10))
    assert [(one.pair, one.columns, one.row_species, one.accuracy) for one in found] == [
        (pair, pair, pair, 1.0) for pair in PAIRS
    ]


def test_other_numbers_show_other_pictures_and_compare_other_prompts():
    species = COLUMNS[::-1]  # rows number the species from the end; idx still counts the columns
    found = score_published(species, range(9, -1, -1), np.eye(10)[::-1], np.eye(10))
    assert found[0].row_species == species[:2] and found[0].columns == COLUMNS[:2]
    assert found[0].accuracy == 0.5  # neither prompt is near: the first is taken
    assert found[2].row_species == found[2].columns[::-1]  # the right pair, but its numbers are swapped
    assert found[2].accuracy == 0


def test_the_published_scorer_tosses_coins_where_ours_knows_every_species(path, capsys):
    assert main(["--csv", str(path), "--others", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    published, ours = (next(line for line in lines if line.startswith(f"| {name} |")) for name in ("published", "ours"))
    assert ours == "| ours | 100.0% | 100.0% |"
    assert published == f"| published | {headline(score_planted(path)):.1%} | - |"
    assert headline(score_planted(path)) < 1
    others = score_others(path, 100)
    assert 0.4 < others.mean() < 0.6 and (others < 1).mean() > 0.9


def test_on_the_real_rows_every_pair_compares_prompts_of_unrelated_species():
    path = SHARED / "confounding_species.csv"
    if not path.is_file():
        pytest.skip(f"no shared data at {SHARED} (set TAXAFLOW_SHARED)")
    found = score_planted(path)
    assert [one.num_rows for one in found] == [20] * 5
    assert all(not set(one.columns) & set(one.pair) for one in found)
    assert found[0].columns == ("Popillia japonica", "Euschistus tristigmus")
    with path.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 100
