"""The measurement of the pipeline: what is compared, counted and generated, and that the oracle agrees."""

import json
import re
from pathlib import Path

import pytest

from bench.pipeline import Options, commands, count_commits, generate, linearity, main
from bench.selection_oracle import build_oracle
from bench.spark_events import read_shuffles


def test_linearity_compares_the_last_step_up_with_the_first():
    assert linearity({1_000: 5.0, 5_000: 9.0, 20_000: 24.0}) == pytest.approx(1.0)
    assert linearity({20_000: 60.0, 1_000: 5.0, 5_000: 9.0}) == pytest.approx((51 / 15) / (4 / 4))
    assert linearity({1_000: 5.0, 5_000: 9.0}) is None


def test_commits_are_the_versions_in_the_log(tmp_path):
    log = tmp_path / "tables" / "photos" / "_delta_log"
    assert count_commits(tmp_path, "photos") == 0
    log.mkdir(parents=True)
    for name in ("00000000000000000000.json", "00000000000000000001.json", "00000000000000000001.crc", "x.json"):
        (log / name).touch()
    assert count_commits(tmp_path, "photos") == 2


def test_metadata_is_generated_once(tmp_path):
    options = Options(tmp_path, species=50, files=2)
    folder = generate(400, options)
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert generate(400, options) == folder
    assert stamps == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert build_oracle(sorted(folder.iterdir())).counts == {"rows": 400, "photos": 400}
    assert generate(400, Options(tmp_path, species=50, files=2, seed=1)) != folder


def test_the_second_ingest_is_the_first_one_again(tmp_path):
    steps = commands(tmp_path / "in", tmp_path / "root")
    assert steps["ingest"] == steps["ingest again"]
    assert all(str(tmp_path / "root") in " ".join(command) for command in steps.values())


def test_the_pipeline_file_selects_by_the_rule(tmp_path):
    from spark_jobs.run_pipeline import steps

    command = commands(tmp_path / "in", tmp_path / "root")["count + select"]
    (_, count), (_, select) = steps(Path(command[-1]))
    assert count.root == select.root == tmp_path / "root"
    assert (select.dataset, select.min_photos, select.max_photos) == ("bench", 30, 1000)


def test_shuffle_bytes_are_summed_per_stage(tmp_path):
    def task(stage, size):
        metrics = {"Shuffle Write Metrics": {"Shuffle Bytes Written": size}}
        return {"Event": "SparkListenerTaskEnd", "Stage ID": stage, "Task Metrics": metrics}

    submitted = {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": {"Stage ID": 3, "Stage Name": "collect at x.py:1"},
        "Properties": {"spark.job.description": "cap"},
    }
    failed = {"Event": "SparkListenerTaskEnd", "Stage ID": 3}
    events = [submitted, task(3, 100), task(3, 20), task(4, 0), failed]
    (tmp_path / "local-1").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert [(stage.stage_id, stage.name, stage.written_bytes) for stage in read_shuffles(tmp_path)] == [(3, "cap", 120)]


@pytest.mark.process
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_public_commands_keep_what_the_oracle_keeps(tmp_path, capsys):
    arguments = ["--rows", "5000", "--species", "100", "--files", "3", "--dirty", "0.1", "--work", str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^5,000 rows: 0 of \d+ species wrong;$", printed, re.MULTILINE)
    result = json.loads((tmp_path / "results.json").read_text())[0]
    assert result["check"]["excluded"] == result["check"]["excluded_expected"]
    assert result["commits"][0] == result["commits"][1] > 0
    assert all(used["wall_s"] > 0 and used["peak_pss_mb"] > 100 for used in result["usage"].values())
    assert sum(stage["written_bytes"] for stage in result["shuffles"]["select"]) > 0
