"""One split of a dataset as a benchmark, pictures and a CSV of their taxa: `python -m sample.write_heldout`.

The pictures are those of the shards, byte for byte. A second call finds them there and changes nothing.
"""

import argparse
import csv
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from spark_jobs.publish import write_whole
from taxonomy.ranks import RANKS

COLUMNS = ("path", "photo_id", "scientific_name", *RANKS, "common_name")
"""Of the CSV, as the published benchmarks have them."""


def main() -> None:
    """Write one split and say where."""
    parser = argparse.ArgumentParser(description="Write one split of a dataset as pictures and a CSV.")
    parser.add_argument("manifest", type=Path, help="ROOT/shards/<dataset>/manifest.json")
    parser.add_argument("out", type=Path, help="folder that receives heldout.csv and photos/")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    number = write_heldout(arguments.manifest, arguments.split, arguments.out)
    print(f"{number} pictures of split {arguments.split} in {arguments.out / 'heldout.csv'}")


def write_heldout(manifest_path: Path, split: str, out: Path) -> int:
    """The number of pictures, each in `out`/photos and with a line in `out`/heldout.csv, which comes last."""
    rows = []
    for facts, picture in _samples(manifest_path, split):
        name = f"photos/{facts['photo_id']}.jpg"
        _keep(out / name, picture)
        rows.append(facts | {"path": name})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _keep(out / "heldout.csv", text.getvalue().encode())
    return len(rows)


def _samples(manifest_path: Path, split: str) -> Iterator[tuple[dict, bytes]]:
    """(JSON, picture) of every sample of a split, in the order of the manifest."""
    shards = json.loads(manifest_path.read_text(encoding="utf-8"))["splits"][split]
    for shard in shards:
        with tarfile.open(manifest_path.parent / shard["file"]) as tar:
            picture = b""
            for member in tar:
                content = tar.extractfile(member).read()  # pyright: ignore[reportOptionalMemberAccess]  # plain files
                if member.name.endswith(".json"):
                    yield json.loads(content), picture
                elif member.name.endswith(".jpg"):
                    picture = content


def _keep(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


if __name__ == "__main__":
    main()
