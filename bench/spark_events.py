"""Shuffle sizes out of Spark's event logs."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StageShuffle:
    """What the tasks of one stage wrote for a shuffle."""

    application: str
    stage_id: int
    name: str
    """The job's description where it has one, else the stage's call site."""
    written_bytes: int


def event_log_conf(folder: Path) -> dict[str, str]:
    """Spark settings that write plain event logs, one file per application, into an existing folder."""
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.resolve().as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }


def read_shuffles(folder: Path) -> list[StageShuffle]:
    """The stages that wrote shuffle data, by application and stage."""
    return [stage for path in sorted(folder.iterdir()) if path.is_file() for stage in _read_log(path)]


def _read_log(path: Path) -> list[StageShuffle]:
    written: dict[int, int] = defaultdict(int)
    names: dict[int, str] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["Event"] == "SparkListenerTaskEnd":
                metrics = event.get("Task Metrics") or {}
                written[event["Stage ID"]] += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
            elif event["Event"] == "SparkListenerStageSubmitted":
                stage = event["Stage Info"]
                described = (event.get("Properties") or {}).get("spark.job.description")
                names[stage["Stage ID"]] = (described or stage["Stage Name"]).split("\n")[0]
    return [
        StageShuffle(path.name, stage, names.get(stage, ""), size) for stage, size in sorted(written.items()) if size
    ]
