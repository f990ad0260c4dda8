"""Open the shards of datasets with the webdataset library and print what is in them."""

import argparse
import io
import json
from collections import Counter
from pathlib import Path

from PIL import Image
from webdataset.compat import WebDataset

from taxonomy.captions import CaptionFields, captions
from taxonomy.ranks import RANKS


def main() -> None:
    """Show what is in the shards of every dataset."""
    parser = argparse.ArgumentParser(description="Read the shards of datasets with webdataset.")
    parser.add_argument("manifests", type=Path, nargs="+", metavar="ROOT/shards/DATASET/manifest.json")
    for path in parser.parse_args().manifests:
        print(f"{path.parent.name}:")
        show(path)


def show(manifest_path: Path) -> None:
    """Count the samples of every split and show the first one of each."""
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    for split, shards in manifest["splits"].items():
        urls = [str(manifest_path.parent / shard["file"]) for shard in shards]
        samples = list(WebDataset(urls, shardshuffle=False))
        planned = sum(shard["num_samples"] for shard in shards)
        assert len(samples) == planned, f"{split}: {len(samples)} samples read, the manifest says {planned}"
        species = Counter(json.loads(sample["json"])["scientific_name"] for sample in samples)
        print(f"{split}: {len(samples)} pictures of {len(species)} species in {len(urls)} shards")
        print(f"  {describe(samples[0])}")


def describe(sample: dict) -> str:
    """One line on a sample: its key, the size of its picture, and one caption."""
    facts = json.loads(sample["json"])
    width, height = Image.open(io.BytesIO(sample["jpg"])).size
    texts = captions(CaptionFields(facts["scientific_name"], facts["common_name"], {r: facts[r] for r in RANKS}))
    return f"{sample['__key__']}.jpg {width} x {height} px: {texts.get('sci_com') or texts['sci']}"


if __name__ == "__main__":
    main()
