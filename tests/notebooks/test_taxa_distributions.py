"""The notebook on taxa: it runs from the first cell to the last on a small data root."""

import hashlib
import io
import json
import os
import re
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from spark_jobs import table_io
from spark_jobs.tables import CATEGORY_COUNTS, SPECIES_COUNTS, Table
from taxonomy.ranks import RANKS
from taxonomy.shards import DatasetFacts, ManifestShard, manifest_bytes, sample_members, shard_file_name
from tests.spark_jobs.species_rows import category_frame, species_frame

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOK = PROJECT / "notebooks" / "01_taxa_distributions.ipynb"

_BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus", "merula")
_OAK = ("Plantae", "Tracheophyta", "Magnoliopsida", None, "Fagaceae", "Quercus", "robur")


def _write_table(root: Path, table: Table, rows: list[dict]) -> None:
    table_io.append_arrow(root, table, pa.Table.from_pylist(rows).select(table.column_names))


def _picture(brightness: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 48), (brightness, 120, 60)).save(file, "JPEG")
    return file.getvalue()


def _planned(photo_id: int, lineage: tuple[str | None, ...], common_name: str | None) -> dict[str, object]:
    return {
        "photo_id": photo_id,
        "taxon_id": hash(lineage[-1]) % 1000,
        "scientific_name": f"{lineage[5]} {lineage[6]}",
        "taxon_rank": "species",
        **dict(zip(RANKS, lineage, strict=True)),
        "common_name": common_name,
        "category": "Aves",
        "license": "CC0",
        "attribution": f"photographer {photo_id}",
        "photo_url": f"/{photo_id}.jpg",
    }


def _write_shard(folder: Path, photos: list[dict[str, object]]) -> None:
    """One train shard and the manifest that lists it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for photo in photos:
            image = _picture(int(str(photo["photo_id"])) % 256)
            facts = {"sha256": hashlib.sha256(image).hexdigest(), "width": 64, "height": 48}
            for name, data in sample_members(photo, image, facts, "taxaflow"):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    file = f"train/{shard_file_name('demo', 'train', 0, sha256)}"
    (folder / "train").mkdir(parents=True)
    (folder / file).write_bytes(content.getvalue())
    shard = ManifestShard(file, sha256, len(photos), len(content.getvalue()), 0)
    facts = DatasetFacts("demo", "original", "taxaflow", {})
    (folder / "manifest.json").write_bytes(manifest_bytes(facts, {"train": [shard]}))


@pytest.fixture
def data_root(root: Path) -> Path:
    """Counts of three species, and a shard with three blackbirds and an oak."""
    species = species_frame([(_BIRD, 1234, "Common Blackbird"), ((*_BIRD[:6], "pilaris"), 7), (_OAK, 60)])
    categories = category_frame(species, 30, 50_000)
    _write_table(root, SPECIES_COUNTS, species.astype({"place": "int32"}).to_dict("records"))
    _write_table(root, CATEGORY_COUNTS, categories.to_dict("records"))
    birds = [_planned(number, _BIRD, "Common Blackbird") for number in (101, 102, 103)]
    _write_shard(root / "shards" / "demo", [*birds[:2], _planned(104, _OAK, None), birds[2]])
    return root


@pytest.mark.process
def test_runs_on_a_small_root(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("TAXAFLOW_ROOT", str(data_root))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    done = client.execute()
    outputs = {cell["id"]: cell.get("outputs", []) for cell in done["cells"]}
    texts = {name: json.dumps(output) for name, output in outputs.items()}
    assert "1,301 photos of 3 species" in texts["inputs"]
    assert "1234" in texts["categories"]
    for name in ("categories", "tail", "taxonomy"):
        assert "Plotly.newPlot" in texts[name], name
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=.{0,2}https?:", texts[name]), name
    assert "Turdus merula" in texts["taxonomy"]
    assert "Turdus merula" in texts["samples"]
    picture, credits = outputs["photos"]
    assert picture["data"]["image/png"]
    assert [line.split()[0] for line in credits["text"].splitlines()] == ["101", "102", "103"]
    assert "photographer 103  CC0" in credits["text"]
    cells = re.findall(r"<t[hd]>([^<]*)</t[hd]>", outputs["thresholds"][0]["data"]["text/html"])
    assert "50 2 66.7 1294 99.5 107 8.2" in " ".join(cells)
