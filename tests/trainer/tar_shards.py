"""Small tar shards for tests: drawn pictures and texts, in the layouts that the webdataset path reads."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from taxonomy.shards import SAMPLE_KEYS, sample_members

Members = list[tuple[str, bytes]]


def picture(number: int, edge: int = 12) -> bytes:
    """A JPEG of noise that differs from number to number."""
    pixels = np.random.default_rng(number).integers(0, 256, (edge, edge, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def photo(number: int) -> dict[str, object]:
    """A planned photo of one of three species, the third without a common name."""
    species = number % 3
    facts = {
        "photo_id": number,
        "taxon_id": 100 + species,
        "scientific_name": f"Turdus {'abc'[species]}",
        "taxon_rank": "species",
        "kingdom": "Animalia",
        "phylum": "Chordata",
        "class": "Aves",
        "order": "Passeriformes",
        "family": "Turdidae",
        "genus": "Turdus",
        "species": "abc"[species],
        "common_name": None if species == 2 else f"Thrush {species}",
    }
    return {key: facts.get(key) for key in SAMPLE_KEYS[:-3]}


def taxaflow_sample(number: int, layout: str = "taxaflow") -> Members:
    """The members of one sample as the project's own writer makes them."""
    return sample_members(photo(number), picture(number), {"sha256": "0", "width": 12, "height": 12}, layout)


def plain_sample(number: int) -> Members:
    """A picture and one text of no known kind."""
    return [(f"{number}.jpg", picture(number)), (f"{number}.txt", f"thing {number}".encode())]


def tar_bytes(members: Members) -> bytes:
    """A complete tar of the members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_shards(folder: Path, sizes: list[int], sample=taxaflow_sample, first: int = 0) -> str:
    """Shards of the given sizes with running numbers, and sizes.json; the pattern that names them all."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{place:03d}.tar" for place in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        members = [member for number in range(first, first + size) for member in sample(number)]
        (folder / name).write_bytes(tar_bytes(members))
        first += size
    (folder / "sizes.json").write_text(json.dumps(dict(zip(names, sizes, strict=True))))
    return f"{folder}/{{000..{len(sizes) - 1:03d}}}.tar" if len(sizes) > 1 else f"{folder}/000.tar"
