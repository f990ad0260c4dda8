"""A small data root made without Spark: photos and a selection whose pictures a photo server has."""

import hashlib
import tarfile
from pathlib import Path

from spark_jobs import table_io
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARDS
from tests.picture_bodies import jpeg

NUM_SPECIES = 6


def photo_row(photo_id: int, photo_url: str | None = None) -> dict[str, object]:
    """One row of photos, of one of NUM_SPECIES species; its neighbours in id are other species."""
    species = photo_id % NUM_SPECIES
    return {
        "photo_id": photo_id,
        "source_photo_id": None,
        "group_id": str(photo_id),
        "taxon_id": 1000 + species,
        "scientific_name": f"Genus epithet{species}",
        "taxon_rank": "species",
        "kingdom": "Animalia",
        "phylum": "Chordata",
        "class": "Aves",
        "order": None,
        "family": "Familia",
        "genus": "Genus",
        "species": f"epithet{species}",
        "common_name": f"Bird {species}" if species else None,
        "category": "Aves",
        "photo_url": photo_url or f"/photos/{photo_id}/medium.jpg",
        "license": "CC0-1.0",
        "attribution": "nobody",
        "source": "csv",
        "first_snapshot": "2026-10",
        "changed_snapshot": "2026-10",
        "gone_snapshot": None,
    }


def selection_row(photo_id: int, dataset: str = "birds") -> dict[str, object]:
    """A row of selections: seven of ten photos train, the others val and test, in an order unlike that of the ids."""
    fate = "train" if photo_id % 10 < 7 else "val" if photo_id % 10 < 8 else "test"
    digest = hashlib.sha256(str(photo_id).encode()).digest()
    order_hash = int.from_bytes(digest[:8], "big", signed=True)
    taxon_id = 1000 + photo_id % NUM_SPECIES
    return {
        "dataset": dataset,
        "photo_id": photo_id,
        "fate": fate,
        "reason": None,
        "taxon_id": taxon_id,
        "order_hash": order_hash,
    }


def make_tables(root: Path, photo_ids: range, dataset: str = "birds") -> None:
    """Write photos and selections of these photos; a second call adds to them."""
    table_io.append_rows(root, PHOTOS, [photo_row(i) for i in photo_ids])
    table_io.append_rows(root, SELECTIONS, [selection_row(i, dataset) for i in photo_ids])


def make_pictures(folder: Path, photo_ids: range) -> Path:
    """Write `<id>.jpg` of every photo, each a picture of its own; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in photo_ids:
        (folder / f"{i}.jpg").write_bytes(jpeg(i, 48, 32))
    return folder


def stored_pictures(root: Path, dataset: str = "birds") -> dict[int, str]:
    """photo_id -> sha256 of the picture bytes in the committed tars; every tar is read to its end."""
    found: dict[int, str] = {}
    for row in table_io.read_arrow(root, SHARDS).to_pylist():
        path = root / "shards" / dataset / row["split"] / row["shard_file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        with tarfile.open(path) as tar:
            pictures = [member for member in tar.getmembers() if member.name.endswith(".jpg")]
            assert len(pictures) == row["num_samples"]
            for member in pictures:
                photo_id = int(member.name.split(".")[0])
                assert photo_id not in found, f"photo {photo_id} is stored twice"
                stream = tar.extractfile(member)
                assert stream is not None
                found[photo_id] = hashlib.sha256(stream.read()).hexdigest()
    return found


def files_and_rows_agree(root: Path, dataset: str = "birds") -> None:
    """Every tar and sidecar is of a committed shard, every committed shard has both, and the ledger is complete."""
    folder = root / "shards" / dataset
    rows = table_io.read_arrow(root, SHARDS).to_pylist()
    named = {folder / row["split"] / row["shard_file"] for row in rows}
    assert {path for path in folder.glob("*/*.tar")} == named
    assert {Path(str(path).removesuffix(".parquet")) for path in folder.glob("*/*.parquet")} == named
    assert not list(folder.glob("*/.*")), "a temporary file is left"
    ledger = table_io.read_arrow(root, DOWNLOADS, ["shard_file", "position"]).to_pylist()
    assert len(ledger) == len({(row["shard_file"], row["position"]) for row in ledger})
    assert len(ledger) == sum(row["num_samples"] + row["num_failed"] for row in rows)
