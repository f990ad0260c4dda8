"""label: every row against taxonomy.captions, whose names count, and as a job that is run again."""

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_jobs import table_io
from spark_jobs.config import LabelConfig
from spark_jobs.tables import CAPTIONS, PHOTOS, SELECTIONS
from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS
from tests.spark_jobs import counted_photos as cp

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def _labelled(spark: "SparkSession", rows: list[dict[str, object]]) -> list[dict[str, object]]:
    from spark_jobs.label_photos import distinct_names, transform
    from spark_jobs.taxa import taxa

    photos = cp.photos_frame(spark, rows)
    found = transform(distinct_names(photos, taxa(photos)))
    assert found.columns == CAPTIONS.column_names
    return cp.rows_of(found.toArrow())


def _captions_of(lineage: str, scientific_name: str | None, common_name: str | None) -> list[dict[str, object]]:
    row = cp.photo(0, lineage)
    fields = CaptionFields(scientific_name, common_name, {rank: row[rank] for rank in RANKS})  # pyright: ignore
    key = {"taxon_id": row["taxon_id"], "scientific_name": scientific_name, "common_name": common_name}
    return [key | {"kind": kind, "text": text} for kind, text in captions(fields).items()]


def _sorted(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: [(value is not None, value) for value in row.values()])


def test_names_with_and_without_a_common_name(spark: "SparkSession") -> None:
    rows = [
        cp.photo(1, cp.BLACKBIRD, common_name="Common Blackbird"),
        cp.photo(2, cp.BLACKBIRD, common_name="Common Blackbird"),
        cp.photo(3, cp.BLACKBIRD, common_name="Amsel"),  # the taxon's most frequent name stands for all its photos
        cp.photo(4, cp.BLACKBIRD, scientific_name="Turdus merula merula"),
        cp.photo(5, cp.GENUS_ONLY, scientific_name="Turdus"),
        cp.photo(6, cp.OAK, scientific_name=None),
    ]
    found = _labelled(spark, rows)
    assert found == _sorted(
        [
            *_captions_of(cp.BLACKBIRD, "Turdus merula", "Common Blackbird"),
            *_captions_of(cp.BLACKBIRD, "Turdus merula merula", "Common Blackbird"),
            *_captions_of(cp.GENUS_ONLY, "Turdus", None),
            *_captions_of(cp.OAK, None, None),
        ]
    )
    texts = [row["text"] for row in found]
    assert "a photo of Turdus merula merula with common name Common Blackbird." in texts
    assert "a photo of Animalia Chordata Aves Passeriformes Turdidae Turdus." in texts
    kinds = {row["kind"] for row in found if row["taxon_id"] == cp.taxon_id(cp.OAK)}
    assert kinds == {"taxon", "taxonTag", "taxonomic_name"}


@pytest.mark.parametrize("seed", [1, 2])
def test_random_names_equal_the_one_implementation(spark: "SparkSession", seed: int) -> None:
    source = random.Random(seed)
    lineages = []
    for number in range(60):
        ranks = [f"{rank}{source.randrange(9)}" if source.random() > 0.3 else "-" for rank in "pcof"]
        lineages.append(f"Animalia {' '.join(ranks)} G{number} {source.choice(['-', f'e{number}'])}")
    common_names = {lineage: source.choice([None, "Näme O'Brien", "名前"]) for lineage in lineages}
    scientific_names = {lineage: [f"S {number}", None] for number, lineage in enumerate(lineages)}
    rows = [
        cp.photo(
            number,
            lineage,
            common_name=common_names[lineage],
            scientific_name=scientific_names[lineage][number % 2],
        )
        for number, lineage in enumerate(lineages * 2)
    ]
    found = _labelled(spark, rows)
    given = {(lineage, row["scientific_name"]) for lineage, row in zip(lineages * 2, rows, strict=True)}
    expected = [row for lineage, name in given for row in _captions_of(lineage, name, common_names[lineage])]  # pyright: ignore
    assert found == _sorted(expected)
    for row in found:
        text = str(row["text"])
        assert not re.search(r"\bnan\b|\bnone\b|  |^ | $", text, re.IGNORECASE), text
        assert text.endswith(".")


def test_no_photos_no_captions(spark: "SparkSession") -> None:
    assert _labelled(spark, []) == []


def test_a_rerun_makes_no_commit(spark: "SparkSession", root: Path) -> None:
    from spark_jobs.label_photos import run

    table_io.append_rows(root, PHOTOS, [cp.photo(1, cp.BLACKBIRD, common_name="Common Blackbird"), cp.photo(2, cp.OAK)])
    first = run(spark, LabelConfig(root=root))
    version = table_io.version(root, CAPTIONS)
    assert first.changed
    assert first.counts == {
        "names": 2,
        "captions": len(CAPTION_KINDS) + 5,
        "without_common_name": 1,
        "without_scientific_name": 0,
    }
    assert first.notes == ("for example: a photo of Turdus merula with common name Common Blackbird.",)

    again = run(spark, LabelConfig(root=root))
    assert not again.changed
    assert (again.counts, table_io.version(root, CAPTIONS)) == (first.counts, version)

    table_io.append_rows(root, PHOTOS, [cp.photo(3, cp.ROBIN)])
    assert run(spark, LabelConfig(root=root)).changed
    assert table_io.version(root, CAPTIONS) == (version or 0) + 1
    found = cp.rows_of(table_io.read_arrow(root, CAPTIONS))
    assert found == _sorted(
        [
            *_captions_of(cp.BLACKBIRD, "Turdus merula", "Common Blackbird"),
            *_captions_of(cp.OAK, "Quercus robur", None),
            *_captions_of(cp.ROBIN, "Erithacus rubecula", None),
        ]
    )


def _select(photo_id: int, dataset: str, fate: str) -> dict[str, object]:
    excluded = fate == "excluded"
    reason = "rare_species" if excluded else None
    return {"dataset": dataset, "photo_id": photo_id, "fate": fate, "reason": reason, "taxon_id": 0,
            "order_hash": None if excluded else photo_id}  # fmt: skip


def test_a_dataset_has_the_names_of_its_photos_only(spark: "SparkSession", root: Path) -> None:
    from spark_jobs.label_photos import run

    # The common name comes from all photos of the taxon, the names to label from the dataset.
    table_io.append_rows(
        root,
        PHOTOS,
        [
            cp.photo(1, cp.BLACKBIRD),
            cp.photo(2, cp.BLACKBIRD, scientific_name="Turdus merula merula", common_name="Common Blackbird"),
            cp.photo(3, cp.OAK),
            cp.photo(4, cp.ROBIN),
        ],
    )
    table_io.append_rows(
        root, SELECTIONS, [_select(1, "birds", "val"), _select(3, "birds", "excluded"), _select(4, "trees", "train")]
    )
    run(spark, LabelConfig(root=root, dataset="birds"))
    expected = _captions_of(cp.BLACKBIRD, "Turdus merula", "Common Blackbird")
    assert cp.rows_of(table_io.read_arrow(root, CAPTIONS)) == _sorted(expected)


def test_what_is_missing_is_said(root: Path) -> None:
    from spark_jobs.label_photos import check

    with pytest.raises(BadInputError, match="has no table photos"):
        check(LabelConfig(root=root))
    table_io.create(root, PHOTOS)
    check(LabelConfig(root=root))
    with pytest.raises(BadInputError, match="has no table selections"):
        check(LabelConfig(root=root, dataset="birds"))
    table_io.append_rows(root, SELECTIONS, [_select(1, "birds", "excluded")])
    with pytest.raises(BadInputError, match="no photo is selected"):
        check(LabelConfig(root=root, dataset="birds"))
