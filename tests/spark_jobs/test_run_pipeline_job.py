"""`data run --config`: one file, all five steps, real files and HTTP; a second run finds nothing to do."""

import csv
import hashlib
from pathlib import Path

import pytest
from deltalake import DeltaTable

from sample.photo_server import PhotoServer
from spark_jobs import table_io
from spark_jobs.run_pipeline import run_pipeline
from spark_jobs.tables import CAPTIONS, DOWNLOADS, PHOTOS, RUNS, SELECTIONS, SPECIES_COUNTS
from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError
from tests.spark_jobs.small_root import make_pictures

pytestmark = pytest.mark.spark

PHOTOS_PER_SPECIES = {"merula": 12, "pilaris": 8, "viscivorus": 2}
"""The last one is rare."""

PIPELINE = """
root = "{root}"

[label]
dataset = "thrushes"

[download]
dataset = "thrushes"
base_url = "{base_url}"
samples_per_shard = 8

[select]
dataset = "thrushes"
categories = ["Aves"]
min_photos = 5
val = 0.2
test = 0.2

[count]
rare = 5

[[ingest]]
source = "csv"
source_name = "museum"
input = "{metadata}"
snapshot = "2026-10"
[ingest.columns]
photo_url = "image_link"
scientific_name = "taxon"
common_name = "english"
"""


def write_metadata(path: Path) -> int:
    """A CSV of PHOTOS_PER_SPECIES with column names of its own; returns the number of photos."""
    columns = ["taxon", "kingdom", "phylum", "class", "order", "family", "genus", "species", "english", "image_link"]
    lineage = ["Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus"]
    epithets = [epithet for epithet, number in PHOTOS_PER_SPECIES.items() for _ in range(number)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for number, epithet in enumerate(epithets, start=1):
            english = "" if epithet == "pilaris" else f"Thrush {epithet}"
            writer.writerow([f"Turdus {epithet}", *lineage, epithet, english, f"/photos/{number}/medium.jpg"])
    return len(epithets)


def state(root: Path) -> tuple[dict[str, int], dict[Path, str]]:
    """Version of every table but runs, and hash of every file of the shards and reports."""
    versions = {path.name: DeltaTable(path).version() for path in (root / "tables").iterdir() if path.name != "runs"}
    kept = [path for folder in ("shards", "reports") for path in (root / folder).rglob("*") if path.is_file()]
    return versions, {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def test_one_file_runs_every_step_and_a_second_time_changes_nothing(spark, tmp_path: Path, capsys):
    num_photos = write_metadata(tmp_path / "museum.csv")
    root, pipeline = tmp_path / "root", tmp_path / "pipeline.toml"
    with PhotoServer({"photos": make_pictures(tmp_path / "pictures", range(1, num_photos + 1))}) as server:
        metadata = tmp_path / "museum.csv"
        pipeline.write_text(PIPELINE.format(root=root, base_url=server.base_url, metadata=metadata))
        run_pipeline(pipeline)
        assert "nothing to do" not in capsys.readouterr().out
        num_kept = check_tables(root, num_photos)
        assert server.num_requests == num_kept
        before = state(root)
        run_pipeline(pipeline)
        assert capsys.readouterr().out.count("nothing to do") == 5
        assert server.num_requests == num_kept
    assert state(root) == before
    jobs = [row["job"] for row in sorted(table_io.read_arrow(root, RUNS).to_pylist(), key=lambda r: r["started_at"])]
    assert jobs == ["ingest", "count", "select", "download", "label"] * 2


def check_tables(root: Path, num_photos: int) -> int:
    """Check what the first run wrote; returns the number of photos that the selection keeps."""
    rare = PHOTOS_PER_SPECIES["viscivorus"]
    photos = table_io.read_arrow(root, PHOTOS).to_pylist()
    assert len(photos) == num_photos
    assert {photo["source"] for photo in photos} == {"museum"}
    counts = {row["species"]: row["num_photos"] for row in table_io.read_arrow(root, SPECIES_COUNTS).to_pylist()}
    assert counts == PHOTOS_PER_SPECIES
    rows = table_io.read_arrow(root, SELECTIONS).to_pylist()
    assert [row["reason"] for row in rows if row["fate"] == "excluded"] == ["rare_species"] * rare
    kept = {row["photo_id"] for row in rows if row["fate"] != "excluded"}
    assert len(kept) == num_photos - rare
    stored = {row["photo_id"]: row["status"] for row in table_io.read_arrow(root, DOWNLOADS).to_pylist()}
    assert stored == dict.fromkeys(kept, "ok")
    texts: dict[str, set[str]] = {}
    for row in table_io.read_arrow(root, CAPTIONS).to_pylist():
        texts.setdefault(row["scientific_name"], set()).add(row["kind"])
    without_common = {"sci", "taxon", "taxonTag", "scientific_name", "taxonomic_name"}
    assert texts == {"Turdus merula": set(CAPTION_KINDS), "Turdus pilaris": without_common}
    assert (root / "reports" / "taxa.html").is_file()
    return len(kept)


def test_a_mistake_in_the_last_step_stops_the_first(spark, tmp_path: Path):
    write_metadata(tmp_path / "museum.csv")
    root, pipeline = tmp_path / "root", tmp_path / "pipeline.toml"
    text = PIPELINE.format(root=root, base_url="http://127.0.0.1:9", metadata=tmp_path / "museum.csv")
    pipeline.write_text(text.replace('[label]\ndataset = "thrushes"', '[label]\ndataset = "no name"'))
    with pytest.raises(BadInputError, match="no name"):
        run_pipeline(pipeline)
    assert not root.exists()
