"""A search made ready: flags, recipe and dataset are checked before Ray starts and before anything is written."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.shards import open_shards
from taxonomy.errors import BadInputError
from taxonomy.manifest import read_manifest
from trainer.settings import config as train_settings
from trainer.settings.config import TrainConfig
from trainer.tuning.config import TuneConfig
from trainer.tuning.plan.schedule import Schedule, make_schedule
from trainer.tuning.plan.space import DEFAULT_TRIAL, NAMES, Space, make_space
from trainer.tuning.ray_search.machines import check_machines
from trainer.tuning.search_folder import DATA_SHA256, SearchFolder, sha256, shared_settings
from trainer.tuning.trials.folder import TrialResult
from trainer.tuning.trials.spec import TrialSpec

_SPLITS = ("val", "test")
_MAY_CHANGE = (
    "out",
    "train_data",
    "recipe",
    "address",
    "cpus_per_trial",
    "gpus_per_trial",
    "keep_checkpoints",
    "debug",
)
"""Settings of a search that may differ when it is started again; data and recipe are compared by content."""

_SET_PER_TRIAL = ("--name", "--logs", "--resume", "--resume-at", "--val-data", "--dataset-type")
_MIN_CHECKPOINTS = 10
"""Checkpoints in the course of a trial, at least: what a kill costs at most is a tenth of it."""


@dataclasses.dataclass(frozen=True)
class Search:
    """A search, checked.

    Attributes:
        config: its settings.
        folder: OUT.
        base: the trainer's settings as the recipe and flags give them.
        shared: the same, with evaluations and checkpoints as the search needs them.
        space: what is searched.
        schedule: of all trials.
    """

    config: TuneConfig
    folder: SearchFolder
    base: TrainConfig
    shared: TrainConfig
    space: Space
    schedule: Schedule

    @property
    def specs(self) -> list[TrialSpec]:
        """All trials in their order."""
        return [
            TrialSpec(
                trials=str(self.folder.path / "trials"),
                number=number,
                settings=self.space.trial(number, self.config.seed),
                base=str(self.folder.base),
                metric=self.config.metric,
                total_steps=self.schedule.total_steps,
                folder=str(Path.cwd()),
                environment={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")},
            )
            for number in range(self.config.trials)
        ]

    def settings(self) -> dict[str, Any]:
        """What another start of the search must have in common with this one."""
        own = {name: value for name, value in dataclasses.asdict(self.config).items() if name not in _MAY_CHANGE}
        bounds = {
            f"{name}_{bound}": value
            for name in NAMES
            for bound, value in zip(("low", "high"), self.space.ranges[name], strict=True)
        }
        return own | bounds | {DATA_SHA256: sha256(self.config.manifest)}

    def about(self, best: TrialResult | None, comparison: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the page says beside the trials."""
        config = self.config
        return {
            "metric": config.metric,
            "recipe": Path(config.recipe or "").name,
            "seed": config.seed,
            "scheduler": config.scheduler,
            "num_trials": config.trials,
            "best": None if best is None else best.trial,
            "default": DEFAULT_TRIAL,
            "space": dict(self.space.ranges),
            "comparison": comparison and comparison["difference"],
        }


def prepare(config: TuneConfig, trainers: Sequence[str]) -> Search:
    """The search that the settings and the trainer's flags describe; nothing is written.

    Raises:
        BadInputError: a flag, the recipe or the dataset cannot be used, or the folder is another search's.
    """
    for word in trainers:
        if (flag := word.split("=")[0]) in _SET_PER_TRIAL:
            raise BadInputError(f"{flag} is not supported: trials have their own; --out says where they go")
    given = ["--recipe", config.recipe or "", "--train-data", str(config.manifest), "--dataset-type", "shards"]
    base = train_settings.load([*given, *trainers])
    if base.val_data is not None:
        raise BadInputError(f"--recipe {config.recipe}: val_data is not supported: trials are chosen on the val split")
    num_pairs = _num_pairs(config)
    check_machines(config)
    schedule = make_schedule(config, base, num_pairs)
    space = make_space(config, dataclasses.asdict(base))
    save_steps = min(base.save_steps or schedule.total_steps, -(-schedule.total_steps // _MIN_CHECKPOINTS))
    changes = {"zeroshot_frequency": schedule.epochs_between, "save_steps": save_steps, "keep_last": 1}
    shared = dataclasses.replace(base, **changes)
    search = Search(config, SearchFolder(config.out_dir), base, shared, space, schedule)
    search.folder.check(search.settings(), shared_settings(dataclasses.asdict(shared)))
    return search


def _num_pairs(config: TuneConfig) -> int:
    """The training pairs of a dataset that has all that a search needs."""
    for split in _SPLITS:
        try:
            open_shards(config.manifest, split, "--train-data")
        except BadInputError as error:
            why = "; trials are chosen on val, the best is compared on test" if split in str(error) else ""
            raise BadInputError(f"{error}{why}") from error
    return sum(shard.num_samples for shard in read_manifest(config.manifest, "--train-data").shards("train"))
