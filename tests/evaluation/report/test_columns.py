"""Models as columns and benchmarks as rows, whatever records there are."""

import random
from typing import Any

import pytest

from evaluation.report.columns import columns_of, find_column, rows_of
from taxonomy.errors import BadInputError
from tests.evaluation.results.records import record


def _of(name: str, digits: str = "ab", activation: str | None = "gelu", **changes: Any) -> dict[str, Any]:
    model = record()["model"] | {"name": name, "hash": digits * 32, "activation": activation}
    return record(model=model, **changes)


def test_labels_say_what_tells_models_apart() -> None:
    records = [
        _of("B", "01"),
        _of("B", "01", "quickgelu"),
        _of("B", "02"),
        _of("C", "03"),
        _of("/home/a/runs/oaks/checkpoints/epoch_5.pt", "04", None),
        _of("", "05"),
    ]
    assert [column.label for column in columns_of(records)] == [
        "B, gelu, 01010101",
        "B, gelu, 02020202",
        "B, quickgelu, 01010101",
        "C",
        "model",
        "oaks/epoch_5.pt",
    ]


def test_protocols_are_columns_of_their_own() -> None:
    records = [_of("B"), _of("B", protocol="paper"), _of("C", "01")]
    assert [column.label for column in columns_of(records)] == ["B, default", "B, paper", "C, default"]


def test_rows_come_in_the_papers_order_published_lists_first() -> None:
    names = ["zoo", "confounding", "deepweeds", "biotrove_unseen", "imagenet_val"]
    records = [_of("B", benchmark=name) for name in names] + [_of("B", benchmark="deepweeds", class_list="fixed")]
    random.Random(0).shuffle(records)
    titles = [row.title for row in rows_of(records, columns_of(records))]
    assert titles == ["BioTrove-Unseen", "DeepWeeds", "Confounding species", "imagenet_val", "zoo",
                      "DeepWeeds (fixed list)"]  # fmt: skip


def test_a_row_shows_the_headline_and_orders_its_levels() -> None:
    taxa = ["rollup_genus", "common_name", "scientific_name", "kingdom", "rollup_family"]
    records = [_of("B", taxon=taxon, headline=taxon == "scientific_name") for taxon in taxa]
    (row,) = rows_of(records, columns_of(records))
    assert list(row.tasks) == ["kingdom", "scientific_name", "common_name", "rollup_family", "rollup_genus"]
    assert row.taxon == "scientific_name"


@pytest.mark.parametrize(
    ("taxa", "shown"),
    [(["genus"], "genus"), (["kingdom", "genus", "common_name"], "genus"), (["rollup_genus"], "rollup_genus")],
)
def test_without_headline_the_finest_level_is_shown_and_named(taxa: list[str], shown: str) -> None:
    records = [_of("B", taxon=taxon, headline=False) for taxon in taxa]
    (row,) = rows_of(records, columns_of(records))
    assert row.taxon == shown
    assert row.title == f"garden ({shown})"


def test_models_are_found_by_label_name_or_hash() -> None:
    columns = columns_of([_of("B", "01"), _of("B", "02"), _of("/x/runs/oaks/checkpoints/e.pt", "03")])
    assert find_column(columns, "B, 02020202").key[0] == "02" * 32
    assert find_column(columns, "/x/runs/oaks/checkpoints/e.pt").key[0] == "03" * 32
    assert find_column(columns, "0202").key[0] == "02" * 32
    for asked, reason in (("B", "several"), ("02", "no such"), ("D", "no such")):
        with pytest.raises(BadInputError, match=f"{reason}.*oaks/e.pt"):
            find_column(columns, asked)
