"""Measures the public commands ingest, count and select on generated metadata and checks every species they keep.

    python -m bench.pipeline --rows 1000000 --rows 5000000 --rows 20000000 --work DIR

Per size: ingest, the same ingest again, count and select (30 to 1,000 photos a species) by one `data run`, then each
as a command of its own; wall clock, CPU, peak PSS of the process tree, shuffle written, commits to photos; then the
kept photos against bench/selection_oracle.py. With three sizes also how linear the time is. Prints its own table; exit
1 where a species is wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from bench.make_metadata import BioTroveConfig, write_biotrove
from bench.oracle_rows import source_files
from bench.process_tree import CommandFailed, Usage, measure
from bench.selection_oracle import Rule, build_oracle
from bench.spark_events import StageShuffle, event_log_conf, read_shuffles
from spark_jobs import table_io
from spark_jobs.tables import SELECTIONS

PROJECT = Path(__file__).parents[1]
DATASET = "bench"
RULE = Rule(min_photos=30, max_photos=1000)
STEPS = ("ingest", "ingest again", "count + select", "count", "select")


@dataclass(frozen=True)
class Options:
    """One measurement."""

    work: Path
    """Generated files are kept here and used again; ROOTs and logs are made anew."""
    species: int = 60_000
    files: int = 20
    seed: int = 42
    dirty: float = 0.0
    spark_conf: str = ""
    """More settings for Spark, `k=v;k=v`."""


@dataclass(frozen=True)
class Measured:
    """The results for one number of rows."""

    rows: int
    usage: dict[str, Usage]
    """By step."""
    shuffles: dict[str, list[StageShuffle]]
    commits: tuple[int, int]
    """Commits to photos after the first and after the second ingest."""
    check: dict[str, Any]
    """The selection beside the oracle's."""

    @property
    def total_s(self) -> float:
        """Wall clock of first ingest, count and select."""
        return sum(self.usage[step].wall_s for step in ("ingest", "count", "select"))


def generate(rows: int, options: Options) -> Path:
    """The folder of generated files for a size, made only where it is not there yet."""
    name = f"rows{rows}_species{options.species}_files{options.files}_seed{options.seed}_dirty{options.dirty}"
    folder = options.work / "metadata" / name
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_biotrove(BioTroveConfig(unfinished, rows, options.species, options.files, options.seed, options.dirty))
        unfinished.rename(folder)
    return folder


def commands(source: Path, root: Path) -> dict[str, list[str]]:
    """The command line of each step; writes the pipeline file of the step `count + select` beside `root`."""
    ingest = ["ingest", "--source", "biotrove", "--input", str(source), "--root", str(root), "--snapshot", "2026-10"]
    select = ["select", "--root", str(root), "--dataset", f"{DATASET}-alone"]
    select += ["--min-photos", str(RULE.min_photos), "--max-photos", str(RULE.max_photos)]
    pipeline = root.with_suffix(".toml")
    pipeline.parent.mkdir(parents=True, exist_ok=True)
    rule = f'dataset = "{DATASET}"\nmin_photos = {RULE.min_photos}\nmax_photos = {RULE.max_photos}'
    pipeline.write_text(f'root = "{root}"\n[count]\n[select]\n{rule}\n', encoding="utf-8")
    steps = (ingest, ingest, ["run", "--config", str(pipeline)], ["count", "--root", str(root)], select)
    head = [sys.executable, str(PROJECT / "taxaflow.py"), "data"]
    return {step: head + arguments for step, arguments in zip(STEPS, steps, strict=True)}


def count_commits(root: Path, table: str) -> int:
    """How many versions a Delta table has; 0 where it is absent."""
    log = root / "tables" / table / "_delta_log"
    return max((int(path.stem) + 1 for path in log.glob("*.json") if path.stem.isdigit()), default=0)


def run_size(rows: int, options: Options) -> Measured:
    """Runs and checks all steps for one size.

    Raises:
        CommandFailed: a step ended with another exit code than 0.
    """
    source = generate(rows, options)
    run = options.work / f"run{rows}"
    shutil.rmtree(run, ignore_errors=True)
    root = run / "root"
    usage, shuffles, commits = {}, {}, []
    for step, command in commands(source, root).items():
        events = run / "events" / step.replace(" ", "_")
        events.mkdir(parents=True)
        settings = ";".join(f"{key}={value}" for key, value in event_log_conf(events).items())
        environment = {"TAXAFLOW_SPARK_CONF": ";".join(filter(None, (options.spark_conf, settings)))}
        usage[step] = measure(command, run / f"{events.name}.log", environment)
        shuffles[step] = read_shuffles(events)
        if step.startswith("ingest"):
            commits.append(count_commits(root, "photos"))
    return Measured(rows, usage, shuffles, (commits[0], commits[1]), check_selection(source, root))


def check_selection(source: Path, root: Path) -> dict[str, Any]:
    """Species wrong, photos kept and photos per reason, ours and the oracle's."""
    oracle = build_oracle(source_files(source))
    expected = oracle.select(RULE)
    columns = ["photo_id", "fate", "reason"]
    table = table_io.read_arrow(root, SELECTIONS, columns, pc.field("dataset") == DATASET)
    excluded = pc.call_function("equal", [table["fate"], "excluded"])
    kept = table.filter(pc.call_function("invert", [excluded]))["photo_id"].to_numpy()
    reasons = {one["values"]: one["counts"] for one in table["reason"].value_counts().to_pylist() if one["values"]}
    return {
        "species": int((expected.species["rank"] == "species").sum()),
        "species_wrong": oracle.count_wrong(expected, np.asarray(kept)),
        "kept": len(kept),
        "kept_expected": expected.num_kept,
        "excluded": reasons,
        "excluded_expected": {reason: count for reason, count in expected.excluded.items() if count},
        "source": oracle.counts,
    }


def linearity(totals: dict[int, float]) -> float | None:
    """Seconds per row of the last step up in size over those of the first; None for fewer than three sizes."""
    sizes = sorted(totals)
    if len(sizes) < 3:
        return None
    slopes = [(totals[b] - totals[a]) / (b - a) for a, b in ((sizes[0], sizes[1]), (sizes[-2], sizes[-1]))]
    return slopes[1] / slopes[0]


def report(results: list[Measured]) -> str:
    """The table that is printed, as Markdown."""
    lines = ["| rows | step | wall s | CPU s | peak PSS MB | shuffle MB |", "|---|---|---|---|---|---|"]
    for result in results:
        for step, used in result.usage.items():
            shuffle = sum(stage.written_bytes for stage in result.shuffles[step]) / 1e6
            cells = (f"{used.wall_s:.1f}", f"{used.cpu_s:.1f}", f"{used.peak_pss_mb:,.0f}", f"{shuffle:.1f}")
            lines.append(f"| {result.rows:,} | {step} | {' | '.join(cells)} |")
    for result in results:
        check = result.check
        lines += ["", f"{result.rows:,} rows: {check['species_wrong']} of {check['species']:,} species wrong;"]
        lines.append(f"  kept {check['kept']:,} (oracle {check['kept_expected']:,}); left out {check['excluded']}")
        lines.append(f"  (oracle {check['excluded_expected']}); first ingest + count + select {result.total_s:.1f} s;")
        lines.append(
            f"  commits to photos {result.commits[0]} after the first ingest, {result.commits[1]} after the next"
        )
        for stage in result.shuffles["select"]:
            lines.append(f"  select shuffle, stage {stage.stage_id}: {stage.written_bytes / 1e6:.2f} MB {stage.name}")
    ratio = linearity({result.rows: result.total_s for result in results})
    if ratio is not None:
        lines += ["", f"linearity: seconds per row of the last step up / of the first = {ratio:.2f} (at most 1.2)"]
    return "\n".join(lines)


def is_right(result: Measured) -> bool:
    """Whether the selection is the oracle's and the second ingest made no commit."""
    check = result.check
    same = check["species_wrong"] == 0 and check["excluded"] == check["excluded_expected"]
    return same and result.commits[0] == result.commits[1]


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints the table, writes `DIR/results.json`; 0 where all is right, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, action="append", required=True, help="may be given more than once")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--species", type=int, default=Options.species)
    parser.add_argument("--files", type=int, default=Options.files)
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--dirty", type=float, default=Options.dirty, metavar="SHARE")
    parser.add_argument("--spark-conf", default="", metavar="K=V;K=V")
    given = vars(parser.parse_args(arguments))
    sizes = sorted(given.pop("rows"))
    options = Options(**given)
    results = []
    try:
        for rows in sizes:
            results.append(run_size(rows, options))
            print(f"{rows:,} rows: {results[-1].total_s:.1f} s", file=sys.stderr)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    (options.work / "results.json").write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    print(report(results))
    return 0 if all(map(is_right, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
