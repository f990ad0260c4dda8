"""results.jsonl and wandb: the published keys, one whole line per run."""

import json
import sys
import types
from pathlib import Path

import pytest

from evaluation.results import published_lines
from evaluation.results.published_lines import append_line, check_wandb, log_to_wandb, published_metrics
from taxonomy.errors import BadInputError, WorkFailedError
from tests.evaluation.results.records import record

LOG_NAMES = {"biotrove_unseen": "arbor-rare", "fungi": "fungi"}


def _metrics(**values: float | None) -> dict[str, dict[str, float | None]]:
    return {name: {"value": value, "low": None, "high": None} for name, value in values.items()}


def test_keys_are_the_published_ones() -> None:
    records = [
        record(benchmark="biotrove_unseen", metrics=_metrics(top1=0.5, top3=0.6, top5=0.75)),
        record(benchmark="biotrove_unseen", taxon="genus", headline=False, metrics=_metrics(top1=0.25)),
        record(benchmark="fungi", taxon="label", metrics=_metrics(top1=0.125, top5=None)),
        record(benchmark="mine", taxon="genus", headline=False, metrics=_metrics(top1=0.0)),
    ]
    assert published_metrics(records, LOG_NAMES) == {
        "arbor-rare-top1": 0.5,
        "arbor-rare-top5": 0.75,
        "arbor-rare-genus-top1": 0.25,
        "fungi-top1": 0.125,
        "mine-top1": 0.0,
    }


def test_one_line_per_run_even_after_a_torn_one(tmp_path: Path) -> None:
    append_line(tmp_path / "new", {"fungi-top1": 0.5}, {"name": "a"})
    path = tmp_path / "new" / "results.jsonl"
    with path.open("a") as file:
        file.write('{"name": "to')
    append_line(tmp_path / "new", {"fungi-top1": 0.25}, {"name": "b"})
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in (lines[0], lines[2])] == [
        {"name": "a", "fungi-top1": 0.5},
        {"name": "b", "fungi-top1": 0.25},
    ]
    assert len(lines) == 3


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_line(tmp_path, {"fungi-top1": 0.5}, {})
    write = published_lines.os.write
    with monkeypatch.context() as patch:
        patch.setattr(published_lines.os, "write", lambda handle, line: write(handle, line[:5]))
        with pytest.raises(WorkFailedError, match="full"):
            append_line(tmp_path, {"fungi-top1": 0.25}, {})
    assert (tmp_path / "results.jsonl").read_text() == '{"fungi-top1": 0.5}\n'


class _Run:
    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.finished = False

    def log(self, scalars: dict[str, float]) -> None:
        self.logged.append(scalars)

    def finish(self) -> None:
        self.finished = True


def _wandb(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> tuple[_Run, dict[str, object]]:
    run, asked = _Run(), {}

    def init(**options: object) -> _Run:
        asked.update(options)
        if error:
            raise error
        return run

    module = types.ModuleType("wandb")
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    module.init, module.errors = init, types.SimpleNamespace(Error=RuntimeError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return run, asked


def test_wandb_gets_val_keys_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = _wandb(monkeypatch)
    log_to_wandb({"fungi-top1": 0.5}, "mine", {"protocol": "paper"}, tmp_path / "out")
    assert run.logged == [{"val/fungi-top1": 0.5}]
    assert run.finished
    assert (asked["name"], asked["config"], asked["dir"]) == ("mine", {"protocol": "paper"}, str(tmp_path / "out"))


def test_wandb_that_lets_no_run_in_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _wandb(monkeypatch, RuntimeError("no key\nsecond line"))
    with pytest.raises(BadInputError, match="no key; wandb login"):
        log_to_wandb({}, "mine", {}, tmp_path)


def test_without_wandb_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(BadInputError, match="pip install wandb"):
        check_wandb()
