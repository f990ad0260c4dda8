"""What a trial is, as it is sent to the machine that runs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.tuning.trials.folder import TrialFolder

STOP = ".stop"
"""In OUT: all trials are to save and end."""


@dataclass(frozen=True)
class TrialSpec:
    """What a trial is; can be sent to another machine.

    Attributes:
        trials: OUT/trials.
        number: of the trial.
        settings: setting -> value.
        base: TOML of all that trials have in common.
        metric: name in the trainer's evaluations.
        total_steps: of a whole trial.
        folder: where relative paths in the settings begin.
        environment: variables that the trainer must have, None those that it must not.
    """

    trials: str
    number: int
    settings: Mapping[str, float]
    base: str
    metric: str
    total_steps: int
    folder: str
    environment: Mapping[str, str | None]

    @property
    def files(self) -> TrialFolder:
        """The trial's files."""
        return TrialFolder(Path(self.trials), self.number)

    def is_to_stop(self) -> bool:
        """Whether the whole search is to stop."""
        return (Path(self.trials).parent / STOP).exists()

    def arguments(self) -> list[str]:
        """The trainer's."""
        settings = [word for name, value in self.settings.items() for word in (f"--{name}", repr(value))]
        place = ["--logs", self.trials, "--name", self.files.name, "--resume", "latest"]
        return ["--recipe", self.base, *settings, *place]
