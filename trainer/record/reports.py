"""Where scalars go beside train.jsonl: TensorBoard and Weights & Biases, each imported only when asked for."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from taxonomy.errors import BadInputError

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


class Report(Protocol):
    """Takes scalars."""

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars of a step, by name."""
        ...

    def close(self) -> None:
        """Have all of them written."""
        ...


@dataclass(frozen=True)
class ReportSettings:
    """Settings of all reports.

    Attributes:
        kinds: as `check_reports` returns them.
        run_name: the run's name, also its id in Weights & Biases.
        run_folder: Weights & Biases writes its files to `wandb/` in it.
        tensorboard_folder: TensorBoard's events.
        wandb_project: `--wandb-project-name`.
        wandb_notes: `--wandb-notes`.
        config: shown by Weights & Biases.
    """

    kinds: tuple[str, ...]
    run_name: str
    run_folder: Path
    tensorboard_folder: Path
    wandb_project: str = "open-clip"
    wandb_notes: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def check_reports(report_to: str) -> tuple[str, ...]:
    """The kinds of report that `--report-to` names; all of their packages are there.

    Raises:
        BadInputError: a name is unknown, or a package is missing.
    """
    names = [name for name in report_to.replace(",", " ").split() if name != "none"]
    for name in names:
        if name not in (*_PACKAGES, "all"):
            raise BadInputError(
                f"--report-to {name}: unknown; use tensorboard, wandb, all or none, several with commas"
            )
    kinds = tuple(_PACKAGES) if "all" in names else tuple(kind for kind in _PACKAGES if kind in names)
    for kind in kinds:
        if importlib.util.find_spec(_PACKAGES[kind]) is None:
            other = "none" if kind == "tensorboard" else "tensorboard"
            raise BadInputError(
                f"--report-to {report_to}: {kind} is not installed; pip install {_PACKAGES[kind]}, "
                f"or use --report-to {other}"
            )
    return kinds


def open_reports(settings: ReportSettings, resume_step: int | None) -> list[Report]:
    """Open all reports; scalars of steps after `resume_step` are of an earlier life and no longer shown.

    Raises:
        BadInputError: Weights & Biases does not let the run in.
    """
    opened: list[Report] = []
    if "tensorboard" in settings.kinds:
        opened.append(TensorBoardReport(settings.tensorboard_folder, resume_step))
    if "wandb" in settings.kinds:
        opened.append(WandbReport(settings))
    return opened


class TensorBoardReport:
    """Scalars as TensorBoard's events."""

    def __init__(self, folder: Path, resume_step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge_step = None if resume_step is None else resume_step + 1
        self._writer = SummaryWriter(str(folder), purge_step=purge_step, flush_secs=10)

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars of a step, by name."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Have all of them written."""
        self._writer.close()


class WandbReport:
    """Scalars in Weights & Biases, with WANDB_MODE=offline in the run's folder alone."""

    def __init__(self, settings: ReportSettings) -> None:
        import wandb  # pyright: ignore[reportMissingImports] there only where it is asked for

        try:
            self._run = wandb.init(
                project=settings.wandb_project,
                name=settings.run_name,
                id=settings.run_name,
                notes=settings.wandb_notes,
                resume="allow",
                config=dict(settings.config),
                dir=str(settings.run_folder),
            )
        except wandb.errors.Error as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise BadInputError(f"--report-to wandb: {reason}; run `wandb login`, or set WANDB_MODE=offline") from error
        # Its own step cannot go back on a resume; a plain scalar can.
        self._run.define_metric("*", step_metric="step")

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars of a step, by name."""
        self._run.log({**scalars, "step": step})

    def close(self) -> None:
        """Have all of them written."""
        self._run.finish()
