"""TensorBoard and wandb: figures under their published names, and nothing imported unasked."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from taxonomy.errors import BadInputError
from tests.conftest import PROJECT
from trainer.record.reports import ReportSettings, check_reports, open_reports

pytestmark = pytest.mark.torch


def settings(folder: Path, *kinds: str) -> ReportSettings:
    return ReportSettings(kinds, "run", folder, folder / "tensorboard", config={"lr": 0.1})


@pytest.fixture
def has_wandb(monkeypatch):
    """A function that makes the package there or missing, as far as one can ask."""
    real = importlib.util.find_spec

    def set_it(is_there: bool) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: (is_there or None) if name == "wandb" else real(name)
        )

    return set_it


@pytest.mark.parametrize(
    ("report_to", "kinds"),
    [
        ("", ()),
        ("none", ()),
        ("tensorboard", ("tensorboard",)),
        ("wandb", ("wandb",)),
        ("wandb,tensorboard", ("tensorboard", "wandb")),
        ("wandb, tensorboard", ("tensorboard", "wandb")),
        ("all", ("tensorboard", "wandb")),
    ],
)
def test_reports_are_named_as_published(report_to, kinds, has_wandb):
    has_wandb(True)
    assert check_reports(report_to) == kinds


@pytest.mark.parametrize("report_to", ["wandb", "all", "tensorboard,wandb"])
def test_a_missing_wandb_is_said_with_the_command(report_to, has_wandb):
    has_wandb(False)
    with pytest.raises(
        BadInputError, match=r"wandb is not installed; pip install wandb, or use --report-to tensorboard"
    ):
        check_reports(report_to)
    assert check_reports("tensorboard") == ("tensorboard",)


def test_an_unknown_report_is_refused():
    with pytest.raises(BadInputError, match="--report-to tensorbord: unknown; use tensorboard, wandb, all or none"):
        check_reports("tensorbord")


def test_nothing_is_imported_that_is_not_asked_for():
    code = (
        "import sys; from trainer.record.reports import check_reports; check_reports('none'); "
        "print([name for name in ('torch', 'tensorboard', 'wandb') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_tensorboard_gets_the_scalars_and_a_resumed_run_shows_its_own(tmp_path):
    for resume_step, steps in ((None, (1, 2, 3)), (2, (3, 4))):
        [report] = open_reports(settings(tmp_path, "tensorboard"), resume_step)
        for step in steps:
            report.write({"train/loss": 10.0 * step + (resume_step or 0), "train/lr": 0.5}, step)
        report.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"train/loss", "train/lr"}
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 10), (2, 20), (3, 32), (4, 42)]


def test_no_report_no_file(tmp_path):
    assert open_reports(settings(tmp_path), None) == []
    assert list(tmp_path.iterdir()) == []


WANDB = """
import sys
from pathlib import Path
from taxonomy.errors import BadInputError
from trainer.record.reports import ReportSettings, open_reports
folder = Path(sys.argv[1])
try:
    [report] = open_reports(ReportSettings(("wandb",), "run", folder, folder / "tensorboard", config={"lr": 0.1}), None)
except BadInputError as error:
    sys.exit(f"bad input: {error}")
report.write({"train/loss": 1.25}, 7)
report.write({"train/loss": 1.5}, 3)
report.close()
"""


def run_with_wandb(folder: Path, **environment: str) -> str:
    """What a process of its own says that reports to wandb, which keeps settings from one run to the next."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    ended = subprocess.run(
        [sys.executable, "-c", WANDB, str(folder)],
        cwd=PROJECT,
        env=clean | {"HOME": str(folder), "WANDB_SILENT": "true"} | environment,
        capture_output=True,
        text=True,
    )
    return ended.stderr


def test_wandb_works_without_a_network(tmp_path):
    assert "bad input" not in run_with_wandb(tmp_path, WANDB_MODE="offline")
    [file] = tmp_path.glob("wandb/offline-run-*/run-run.wandb")
    assert b"train/loss" in file.read_bytes()


def test_wandb_without_a_login_is_bad_input(tmp_path):
    said = run_with_wandb(tmp_path)
    assert "bad input: --report-to wandb: " in said
    assert "WANDB_MODE=offline" in said
