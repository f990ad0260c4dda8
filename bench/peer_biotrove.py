"""Times BioTrove's own counting and filtering beside ours and counts the species it gets wrong.

    PYTHONPATH=. python -m bench.peer_biotrove --code BIOTROVE_CHECKOUT --input METADATA_DIR --out DIR

The checkout is the user's; nothing of it is part of this project. Run it in an environment with BioTrove's pins (pandas
2.2.2, numpy 1.26.4, matplotlib, seaborn, tqdm) and pyarrow. Steps: MetadataProcessor, then GenShuffledChunks, with the
thresholds of bench/pipeline.py; the merged chunks are what it keeps.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq

from bench.oracle_rows import source_files
from bench.selection_oracle import Oracle, Rule, build_oracle

PACKAGE = "biotrove_process"
RULE = Rule(min_photos=30, max_photos=1000)


def load_package(code: Path) -> ModuleType:
    """BioTrove's preprocessing package from a checkout (its root or Biotrove-preprocess).

    Raises:
        FileNotFoundError: the package is not in the checkout.
    """
    for folder in (code, code / "Biotrove-preprocess"):
        if (folder / PACKAGE / "__init__.py").is_file():
            sys.path.insert(0, str(folder))
            return importlib.import_module(PACKAGE)
    raise FileNotFoundError(f"{code} holds no {PACKAGE}; --code takes a checkout of baskargroup/BioTrove")


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Adds the wall clock of the block to seconds."""
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


def run_steps(package: ModuleType, source: Path, out: Path) -> dict[str, float]:
    """Runs both steps; out/merged then holds the chunks. Returns the seconds of each step."""
    seconds: dict[str, float] = {}
    counts = out / "counts"
    with timed("count", seconds):
        package.MetadataProcessor(str(source), str(counts)).process_all_files()
    folders = {name: str(out / name) for name in ("rare_dir", "cap_filtered_dir_train", "capped_dir")}
    with timed("filter, shuffle, merge", seconds):
        package.GenShuffledChunks(
            species_count_data=str(counts / "combined_sample_counts_per_species.csv"),
            directory=str(source),
            rare_threshold=RULE.min_photos,
            cap_threshold=RULE.max_photos,
            merged_dir=str(out / "merged"),
            **folders,
        ).process_files()
    return seconds


def kept_ids(merged: Path) -> np.ndarray:
    """The photo ids of all merged chunks, rows without one left out."""
    parts = [pq.read_table(path, columns=["photo_id"])["photo_id"].drop_null() for path in sorted(merged.iterdir())]
    return np.concatenate([part.to_numpy().astype(np.int64) for part in parts])


def judge(oracle: Oracle, ids: np.ndarray) -> dict[str, int]:
    """How the kept photos differ from the oracle's selection."""
    expected = oracle.select(RULE)
    place = np.clip(np.searchsorted(oracle.photo_ids, ids), 0, oracle.photo_ids.size - 1)
    known = oracle.photo_ids[place] == ids
    found = np.bincount(oracle.taxon[place[known]], minlength=len(oracle.taxa))
    species = expected.species
    capped = (species["reason"] == "over_cap").to_numpy()
    outside = (species["reason"] == "out_of_category").to_numpy()
    return {
        "taxa": len(species),
        "species wrong": oracle.count_wrong(expected, ids),
        "photos kept": ids.size,
        "photos to keep": expected.num_kept,
        "species over the cap": int(capped.sum()),
        "of them left with none": int((found[capped] == 0).sum()),
        "their photos kept": int(found[capped].sum()),
        "their photos to keep": int(species["kept"].to_numpy()[capped].sum()),
        "photos kept outside the categories": int(found[outside].sum()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Runs, judges and prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_biotrove", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--code", type=Path, required=True, metavar="DIR", help="a checkout of baskargroup/BioTrove")
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="a folder of metadata parquet files")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for its outputs")
    options = parser.parse_args(arguments)
    if options.out.exists():
        print(f"--out {options.out} exists; name a new folder, BioTrove deletes what it finds", file=sys.stderr)
        return 2
    try:
        package = load_package(options.code.resolve())
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = run_steps(package, options.input.resolve(), options.out.resolve())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    figures: dict[str, str] = {f"{name}, s": f"{value:.1f}" for name, value in seconds.items()}
    figures |= {"both, s": f"{sum(seconds.values()):.1f}", "peak RSS, MB": f"{peak_mb:,.0f}"}
    judged = judge(build_oracle(source_files(options.input)), kept_ids(options.out / "merged"))
    figures |= {name: f"{value:,}" for name, value in judged.items()}
    print("| BioTrove's own code | |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
