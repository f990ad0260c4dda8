"""The published BioTrove sample, its own thresholds, and an oracle of a few lines of pandas."""

from pathlib import Path

import pandas as pd
import pytest

from spark_jobs import count_taxa, ingest_photos, select_photos, table_io
from spark_jobs.config import CountConfig, IngestConfig, SelectConfig
from spark_jobs.tables import PHOTOS, SELECTIONS, SPECIES_COUNTS

pytestmark = pytest.mark.spark

RARE, CAP = 10, 12
"""What the published config.json ships with."""


@pytest.fixture(scope="module")
def sample(shared: Path) -> Path:
    return shared / "data" / "biotrove"


@pytest.fixture(scope="module")
def oracle(sample: Path) -> pd.Series:
    """Photos per species, by binomial, each photo id once."""
    rows = pd.concat([pd.read_parquet(path) for path in sorted(sample.glob("*.parquet"))])
    assert len(rows) == 1737
    photos = rows.drop_duplicates("photo_id")
    return photos.groupby(["kingdom", "genus", "species"]).size()


@pytest.fixture(scope="module")
def root(spark, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    (folder / "locks").mkdir()
    summary = ingest_photos.run(spark, IngestConfig("biotrove", sample, folder, "2026-10"))
    assert summary.counts["rows_read"] == 1737
    assert (summary.counts["new"], summary.counts["duplicates"], summary.counts["conflicts"]) == (1733, 4, 0)
    assert summary.counts["rejects"] == 0
    return folder


def test_species_are_counted_by_binomial(spark, root, oracle):
    count_taxa.run(spark, CountConfig(root, rare=RARE, cap=CAP))
    rows = table_io.read_arrow(root, SPECIES_COUNTS).to_pandas()
    found = rows.set_index(["kingdom", "genus", "species"])["num_photos"].sort_index()
    assert found.to_dict() == oracle.to_dict()
    assert len(found) == 321


def test_kept_photos_equal_the_oracle(spark, root, oracle):
    select_photos.run(spark, SelectConfig(root, "published", min_photos=RARE, max_photos=CAP))
    photos = table_io.read_arrow(root, PHOTOS).to_pandas()
    fates = table_io.read_arrow(root, SELECTIONS).to_pandas()
    kept = fates[fates.fate != "excluded"].merge(photos[["photo_id", "kingdom", "genus", "species"]], on="photo_id")
    found = kept.groupby(["kingdom", "genus", "species"]).size()
    expected = oracle[oracle >= RARE].clip(upper=CAP)
    assert found.to_dict() == expected.to_dict()
    assert len(kept) == expected.sum() == 566
    assert len(fates) == 1733
