"""count: worked by hand, against pandas on random photos, and as a job that is run again."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from spark_jobs import table_io
from spark_jobs.config import CountConfig
from spark_jobs.tables import CATEGORY_COUNTS, PHOTOS, SPECIES_COUNTS, WITHDRAWALS
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS
from tests.spark_jobs import counted_photos as cp

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark


def _counted(spark: "SparkSession", rows: list[dict[str, object]], withdrawn: list[int]) -> "DataFrame":
    return _count(cp.photos_frame(spark, rows), cp.withdrawals_frame(spark, withdrawn))


def _count(photos: "DataFrame", withdrawals: "DataFrame") -> "DataFrame":
    from spark_jobs.count_taxa import count_observations, count_species, tally_names

    return count_species(tally_names(photos, withdrawals), count_observations(photos, withdrawals))


def _garden() -> list[dict[str, object]]:
    """Blackbird 3 photos in 2 groups, thrush and robin 2 each, oak 1; the rest must not count."""
    return [
        cp.photo(1, cp.BLACKBIRD, group_id="a", common_name="Common Blackbird"),
        cp.photo(2, cp.BLACKBIRD, group_id="a", common_name="Common Blackbird"),
        cp.photo(3, cp.BLACKBIRD, group_id="b", common_name="Amsel"),
        cp.photo(4, cp.THRUSH),
        cp.photo(5, cp.THRUSH),
        cp.photo(6, cp.ROBIN),
        cp.photo(7, cp.ROBIN, group_id="6"),
        cp.photo(8, cp.OAK, common_name="English Oak"),
        cp.photo(9, cp.OAK, gone_snapshot="2026-11"),
        cp.photo(10, cp.OAK),
        cp.photo(11, cp.FROG, gone_snapshot="2026-11"),
        *(cp.photo(20 + number, cp.GENUS_ONLY) for number in range(5)),
        cp.photo(25, cp.GENUS_ONLY, gone_snapshot="2026-11"),
    ]


def _expected(lineage: str, common_name: str | None, category: str, *numbers: int) -> dict[str, object]:
    row = cp.photo(0, lineage, common_name=common_name, category=category)
    counts = dict(zip(("num_photos", "num_groups", "place"), numbers, strict=True))
    return {name: (row | counts)[name] for name in SPECIES_COUNTS.column_names}


def test_species_worked_by_hand(spark: "SparkSession") -> None:
    # Thrush and robin tie: the smaller id has the earlier place.
    second, third = sorted((cp.THRUSH, cp.ROBIN), key=cp.taxon_id)
    groups = {cp.THRUSH: 2, cp.ROBIN: 1}
    expected = [
        _expected(cp.BLACKBIRD, "Common Blackbird", "Aves", 3, 2, 1),
        _expected(second, None, "Aves", 2, groups[second], 2),
        _expected(third, None, "Aves", 2, groups[third], 3),
        _expected(cp.OAK, "English Oak", "Plantae", 1, 1, 1),
    ]
    found = _counted(spark, _garden(), withdrawn=[10, 999])
    assert found.columns == SPECIES_COUNTS.column_names
    assert found.toArrow().sort_by([("category", "ascending"), ("place", "ascending")]).to_pylist() == expected


def test_no_photo_no_species(spark: "SparkSession") -> None:
    from spark_jobs.count_taxa import count_categories

    species = _counted(spark, [], withdrawn=[])
    assert species.collect() == []
    categories = count_categories(species.toPandas(), 30, 50)
    assert (len(categories), list(categories)) == (0, CATEGORY_COUNTS.column_names)


def test_one_photo(spark: "SparkSession") -> None:
    from spark_jobs.count_taxa import count_categories

    species = _counted(spark, [cp.photo(1, cp.OAK)], withdrawn=[])
    assert species.toArrow().to_pylist() == [_expected(cp.OAK, None, "Plantae", 1, 1, 1)]
    assert count_categories(species.toPandas(), 1, 1).to_dict("records") == [
        {
            "category": "Plantae",
            "num_photos": 1,
            "num_species": 1,
            "median_photos": 1.0,
            "p95_photos": 1.0,
            "max_photos": 1,
            "num_rare": 0,
            "num_over_cap": 0,
        }
    ]


def _random_photos(seed: int, number: int = 1500) -> list[dict[str, object]]:
    source = random.Random(seed)
    lineages = [
        f"{kingdom} P{kind} {class_} O F{kind} G{kind} e{epithet}"
        for kind, (kingdom, class_) in enumerate([("Animalia", "Aves"), ("Animalia", "Insecta"), ("Fungi", "C")])
        for epithet in range(25)
    ]
    lineages += [cp.GENUS_ONLY, cp.FROG]
    weights = [1 / (1 + place) for place in range(len(lineages))]
    return [
        cp.photo(
            photo_id,
            source.choices(lineages, weights)[0],
            group_id=str(source.randrange(number)),
            gone_snapshot=source.choice([None] * 9 + ["2026-11"]),
        )
        for photo_id in range(number)
    ]


def _oracle(rows: list[dict[str, object]], withdrawn: list[int]) -> pd.DataFrame:
    photos = pd.DataFrame(rows)
    present = photos[(photos.taxon_rank == "species") & photos.gone_snapshot.isna() & ~photos.photo_id.isin(withdrawn)]
    species = present.groupby("taxon_id").agg(
        **{name: (name, "first") for name in (*RANKS, "category")},
        num_photos=("photo_id", "size"),
        num_groups=("group_id", "nunique"),
    )
    ordered = species.reset_index().sort_values(["num_photos", "taxon_id"], ascending=[False, True])
    return ordered.assign(common_name=None, place=ordered.groupby("category").cumcount() + 1)


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_pandas_for_any_partitions(spark: "SparkSession", seed: int) -> None:
    from spark_jobs.count_taxa import count_categories
    from tests.spark_jobs.species_rows import category_frame

    rows = _random_photos(seed)
    withdrawn = list(range(0, len(rows), 17))
    oracle = _oracle(rows, withdrawn)
    photos = cp.photos_frame(spark, rows).repartition(7 * seed)
    species = _count(photos, cp.withdrawals_frame(spark, withdrawn))
    found = species.toArrow().sort_by("taxon_id").to_pylist()
    assert found == oracle.sort_values("taxon_id")[SPECIES_COUNTS.column_names].to_dict("records")
    categories = count_categories(species.toPandas(), 3, 40).to_dict("records")
    expected = category_frame(oracle, 3, 40).to_dict("records")
    assert [row.pop("p95_photos") for row in categories] == pytest.approx([row.pop("p95_photos") for row in expected])
    assert categories == expected


def _versions(root: Path) -> dict[str, int]:
    return table_io.versions(root, (SPECIES_COUNTS, CATEGORY_COUNTS))


def test_a_rerun_commits_only_what_changes(spark: "SparkSession", root: Path) -> None:
    from spark_jobs.count_taxa import run

    table_io.append_rows(root, PHOTOS, _garden())
    table_io.append_rows(root, WITHDRAWALS, [{"photo_id": 10, "reason": None, "since": None}])
    config = CountConfig(root=root, rare=2, cap=2)
    first = run(spark, config)
    page = root / "reports" / "taxa.html"
    written, versions = page.read_bytes(), _versions(root)
    assert first.changed
    assert first.counts == {"photos": 17, "counted": 8, "above_species_rank": 5, "withdrawn": 4, "species": 4}
    assert first.notes[0].startswith("Aves: 7 photos of 3 species, median 2, most 3")
    assert first.notes[-1] == f"page: {page}"

    again = run(spark, config)
    assert not again.changed
    assert (_versions(root), page.read_bytes()) == (versions, written)
    assert again.counts == first.counts

    other = run(spark, CountConfig(root=root, rare=3, cap=5))
    assert other.changed
    assert _versions(root) == versions | {"category_counts": versions["category_counts"] + 1}
    assert page.read_bytes() != written
    aves = table_io.read_arrow(root, CATEGORY_COUNTS).sort_by("category").to_pylist()[0]
    assert (aves["num_rare"], aves["num_over_cap"]) == (2, 0)

    table_io.append_rows(root, PHOTOS, [cp.photo(50, cp.OAK)])
    assert run(spark, CountConfig(root=root, rare=3, cap=5)).changed
    species = table_io.read_arrow(root, SPECIES_COUNTS).to_pylist()
    assert {row["species"]: row["num_photos"] for row in species}["robur"] == 2


def test_photos_without_rows_give_empty_tables_and_a_page(spark: "SparkSession", root: Path) -> None:
    from spark_jobs.count_taxa import run

    table_io.create(root, PHOTOS)
    summary = run(spark, CountConfig(root=root))
    assert summary.counts["species"] == 0
    assert "no photo that is known to species yet" in (root / "reports" / "taxa.html").read_text()
    assert not run(spark, CountConfig(root=root)).changed


def test_without_photos_it_says_what_to_do(root: Path) -> None:
    from spark_jobs.count_taxa import check

    with pytest.raises(BadInputError, match="has no table photos"):
        check(CountConfig(root=root))
