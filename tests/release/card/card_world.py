"""A run's folder, its dataset and results, as trainer, download and evaluation write them, without torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from evaluation.loading.facts import ModelFacts
from evaluation.results.result import write_result
from release.card.card_facts import CardFacts
from release.card.collect import collect_card_facts
from release.card.results import pictures_of
from tests.evaluation.results.records import record
from tests.trainer import small_dataset
from trainer.settings.config import load

MODEL_HASH = "ab" * 32
LICENCES = ("CC0-1.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", None, "CC-BY-SA-4.0")

HOSTILE = (
    "a|b",
    "a\nb\r\n\n# not a heading",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example someone@evil.example",
    "`code` *bold* _em_ ~~gone~~ $$x$$",
    "---\nlicense: mit\n---",
    "key: [1, {a: b}] # c",
    '"quoted" \\ back\\slash \'',
    "\u202egnp.exe \u200b\x00\x07\x1b[31m",
    "&amp; &lt;b&gt;",
    "Tur\u0308dus \u2028 merula \u2603 \U0001f426 \ud800",
    "- item",
    "{{ 7 * 7 }}{% raw %}",
    "yes",
    "1e3",
    "~",
    "| | |\n|---|---|",
)
"""Names that a run, species or licence could have."""


def facts(**changes: Any) -> ModelFacts:
    """The facts of a small model."""
    values: dict[str, Any] = {
        "name": "tiny",
        "pretrained": None,
        "activation": "gelu",
        "activation_source": "model tiny",
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.25, 0.25, 0.25),
        "interpolation": "bicubic",
        "image_size": 32,
        "context_length": 77,
        "embed_dim": 64,
        "model_config": {"embed_dim": 64, "quick_gelu": False, "vision_cfg": {"layers": 2}, "text_cfg": {"heads": 2}},
    }
    return ModelFacts(**values | changes)


def photo(number: int, **changes: object) -> dict[str, object]:
    """A planned photo under the licences in turn; every seventh names no one."""
    licence = LICENCES[number % len(LICENCES)]
    credit = None if number % 7 == 6 else f"(c) observer {number}"
    return small_dataset.photo(number, license=licence, attribution=credit) | changes


def write_dataset(folder: Path, sizes: tuple[int, ...] = (10, 12), photos: Any = photo) -> Path:
    """A dataset's shards; the manifest's path."""
    return small_dataset.write_dataset(folder, sizes, photos=photos)


def data_sha256(manifest: Path) -> str:
    """What the trainer's position calls the training shards of a manifest."""
    shards = json.loads(manifest.read_bytes())["splits"]["train"]
    return sha256("\n".join(shard["sha256"] for shard in shards).encode()).hexdigest()


def log_lines(steps: int = 40) -> list[dict[str, Any]]:
    """A line for every tenth step, a stop and its resume, an evaluation and the end."""
    lines: list[dict[str, Any]] = []
    for step in range(10, steps + 1, 10):
        lines.append(
            {"step": step, "loss": 5 - step / 10, "images_per_s": 100.0 + step, "samples_seen": 16 * step}
            | {"captions": {"sci": 100, "com": 60}, "bad_samples": {"truncated": 1}, "skipped_steps": step // 20}
        )
    lines.insert(2, {"event": "stopped", "step": 20})
    lines.insert(3, {"event": "resume", "step": 20})
    lines.append({"event": "evaluation", "step": steps, "val-top1": 0.75, "val-top1-low": 0.6, "val-images": 100})
    lines.append({"event": "done", "step": steps})
    return lines


def write_run(
    logs: Path, manifest: Path, name: str = "birds", flags: tuple[str, ...] = (), steps: tuple[int, ...] = (20, 40)
) -> Path:
    """A run's folder with a checkpoint of each step, without its weights."""
    config = load(["--recipe", "tiny", "--train-data", str(manifest), "--logs", str(logs), *flags])
    run = logs / name
    run.mkdir(parents=True)
    (run / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    lines = [json.dumps(line) for line in log_lines()]
    (run / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for step in steps:
        write_checkpoint(run / "checkpoints" / f"step_{step:06d}", step, asdict(config), data_sha256(manifest))
    return run


def write_checkpoint(folder: Path, step: int, config: Mapping[str, Any], data: str) -> None:
    """The files of a checkpoint that a person can read."""
    folder.mkdir(parents=True)
    state = {"step": step, "epoch": step // 3, "samples_seen": 16 * step, "config": config}
    (folder / "state.json").write_text(json.dumps(state | {"model_facts": facts().to_dict()}), encoding="utf-8")
    ranks = [{"position": {"step": step, "data_sha256": data}}, {"position": {"step": step, "data_sha256": data}}]
    (folder / "ranks.json").write_text(json.dumps(ranks), encoding="utf-8")


def result(**changes: Any) -> dict[str, Any]:
    """A record of the model."""
    own = record()
    model = own["model"] | {"name": "birds step_000040", "hash": MODEL_HASH} | changes.pop("model", {})
    protocol = changes.get("protocol", own["protocol"])
    return own | {"model": model, "preprocessing": dict(pictures_of(facts(), protocol))} | changes


def write_results(out: Path, *records: Mapping[str, Any]) -> Path:
    """A folder of result files."""
    for one in records or (result(),):
        write_result(out, one)
    return out


def collected(tmp_path: Path, *records: Mapping[str, Any], flags: tuple[str, ...] = ()) -> CardFacts:
    """Everything recorded of a run: its dataset, checkpoints and results."""
    manifest = write_dataset(tmp_path / "data")
    run = write_run(tmp_path / "logs", manifest, flags=flags)
    results = write_results(tmp_path / "results", *records)
    return collect_card_facts(facts(), MODEL_HASH, "birds step_000040", run, [results])
