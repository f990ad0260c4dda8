"""One split of a dataset as a benchmark, pictures and a CSV of their taxa: `python -m sample.write_heldout`.

The pictures are those of the shards, byte for byte. A second call finds them there and changes nothing.
"""

import argparse
import csv
import io
from pathlib import Path

from evaluation.benchmarks.benchmark import COMMON_NAME, SCIENTIFIC_NAME
from evaluation.benchmarks.shards import open_shards
from taxonomy.ranks import RANKS
from taxonomy.whole_file import write_whole

_LEVELS = (SCIENTIFIC_NAME, *RANKS, COMMON_NAME)

COLUMNS = ("path", "photo_id", *_LEVELS)
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
    """The number of pictures, each in `out`/photos and with a line in `out`/heldout.csv, which comes last.

    A sample without a picture is left out.

    Raises:
        BadInputError: the shards cannot be used; see `open_shards`.
    """
    rows = open_shards(manifest_path, split).rows
    lines = []
    for row, (key, source) in enumerate(zip(rows.keys, rows.sources, strict=True)):
        if not callable(source):
            continue
        name = f"photos/{key}.jpg"
        write_whole(out / name, source())
        taxon = {level: rows.labels[level][row] for level in _LEVELS if level in rows.labels}
        lines.append({"path": name, "photo_id": key, **taxon})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_whole(out / "heldout.csv", text.getvalue().encode())
    return len(lines)


if __name__ == "__main__":
    main()
