"""Our downloader as a tool of bench/download.py: its data root, its command, and what its ledger says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.download_peers import SAMPLES_PER_SHARD, Job
from spark_jobs import table_io
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS

PROJECT = Path(__file__).parents[1]
DATASET = "bench"
MAX_PER_HOST = 16
NUM_SPECIES = 50
USER_AGENT = "taxaflow-bench (bench@example.org)"

_RANKS = {
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "class": "Aves",
    "order": "Passeriformes",
    "family": "Familia",
    "genus": "Genus",
}
_SAME_FOR_ALL = {
    **_RANKS,
    "source_photo_id": None,
    "taxon_rank": "species",
    "category": "Aves",
    "license": "CC0-1.0",
    "attribution": "nobody",
    "source": "csv",
    "first_snapshot": "2026-10",
    "changed_snapshot": "2026-10",
    "gone_snapshot": None,
}


@dataclass(frozen=True)
class Ours:
    """`taxaflow data download` with one transport."""

    transport: str

    is_ours = True

    @property
    def name(self) -> str:
        """As the table says."""
        return f"taxaflow {self.transport}"

    def prepare(self, job: Job) -> list[str]:
        """Writes the data root; the command."""
        root = job.folder / "root"
        make_root(root, job.urls)
        command = [sys.executable, str(PROJECT / "taxaflow.py"), "data", "download"]
        command += ["--root", str(root), "--dataset", DATASET, "--user-agent", USER_AGENT]
        command += ["--samples-per-shard", str(SAMPLES_PER_SHARD), "--max-per-host", str(MAX_PER_HOST)]
        return [*command, "--transport", self.transport]

    def environment(self) -> dict[str, str]:
        """Compiled code is kept, as it is for users and as pip keeps it for the peers."""
        return {"PYTHONDONTWRITEBYTECODE": ""}

    def count_ok(self, job: Job, output: str) -> int:
        """The photos that the ledger calls ok."""
        status = table_io.read_arrow(job.folder / "root", DOWNLOADS, ["status"])["status"]
        return int(pc.call_function("sum", [pc.call_function("equal", [status, "ok"])]).as_py() or 0)


def make_root(root: Path, urls: Sequence[str]) -> None:
    """Writes the tables photos and selections of a new data root: all photos train, in a shuffled order."""
    num_photos = len(urls)
    photo_ids = np.arange(1, num_photos + 1)
    species = photo_ids % NUM_SPECIES
    order = np.random.default_rng(0).permutation(num_photos)
    own = {
        "photo_id": photo_ids,
        "group_id": photo_ids.astype(str),
        "taxon_id": 1000 + species,
        "scientific_name": [f"Genus epithet{one}" for one in species],
        "species": [f"epithet{one}" for one in species],
        "common_name": [f"Bird {one}" for one in species],
        "photo_url": list(urls),
    }
    photos = {**own, **{name: [value] * num_photos for name, value in _SAME_FOR_ALL.items()}}
    selections = {
        "dataset": [DATASET] * num_photos,
        "photo_id": photo_ids,
        "fate": ["train"] * num_photos,
        "reason": pa.nulls(num_photos, pa.string()),
        "taxon_id": own["taxon_id"],
        "order_hash": order,
    }
    table_io.append_arrow(root, PHOTOS, pa.table(photos))
    table_io.append_arrow(root, SELECTIONS, pa.table(selections))
