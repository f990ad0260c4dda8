"""The settings of a search: one frozen dataclass, flags over a TOML file over defaults. No torch, no Ray here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.settings import command_line
from evaluation.settings.option import Settings, flag_of, nearest, option, options
from evaluation.settings.path_checks import check_can_be_made, check_file
from taxonomy.errors import BadInputError
from trainer.settings.flags import FLAGS

ASHA, RANDOM = "asha", "random"
METRICS = ("val-top1", "val-balanced_accuracy", "val-top3", "val-top5")
"""What the trainer measures on the val split; the higher the better."""

_SEARCH, _SPACE, _MACHINES, _OUTPUT = "Search", "Ranges, all evenly in the logarithm", "Machines", "Output"
_NUMBER = re.compile(r"-[\d.]")
_HOST_PORT = re.compile(r"[^\s/]+:\d+")


@dataclass(frozen=True)
class TuneConfig(Settings):
    """Every setting of a search, checked when it is made; a field is its flag's name with _ for -."""

    recipe: str | None = option("A built-in recipe or a TOML file; trial 0 has its values.", None, str, _SEARCH)
    train_data: str | None = option(
        "A dataset's manifest.json with the splits train, val and test.", *(None, str, _SEARCH), metavar="MANIFEST"
    )
    trials: int = option("How many, the default among them.", 20, int, _SEARCH, least=1, most=999)
    metric: str = option(
        "What the best trial is chosen by, on the val split.", METRICS[0], str, _SEARCH, choices=METRICS, metavar="NAME"
    )
    scheduler: str = option(
        "asha: stop trials early that are behind at a rung; random: train all to the end.",
        *(ASHA, str, _SEARCH),
        choices=(ASHA, RANDOM),
    )
    reduction_factor: int = option(
        "asha: of so many trials at a rung one goes on, to a rung so many times as far.", 3, int, _SEARCH, least=2
    )
    grace_steps: int | None = option(
        "asha: the first rung (default: the warm-up, at least a ninth of the run).", None, int, _SEARCH, least=1
    )
    seed: int = option("Of the trials' settings; a trial's own --seed is the recipe's.", 0, int, _SEARCH, least=0)

    lr_low: float | None = option("(default: a tenth of the recipe's lr)", None, float, _SPACE)
    lr_high: float | None = option("(default: ten times the recipe's lr)", None, float, _SPACE)
    beta1_low: float = option("1 - beta1 is what is even in the logarithm.", 0.8, float, _SPACE)
    beta1_high: float = option("", 0.99, float, _SPACE)
    beta2_low: float = option("1 - beta2 likewise.", 0.9, float, _SPACE)
    beta2_high: float = option("", 0.999, float, _SPACE)
    wd_low: float = option("Weight decay.", 1e-4, float, _SPACE)
    wd_high: float = option("", 1.0, float, _SPACE)

    address: str | None = option(
        "A running Ray cluster: auto on one of its machines, or HOST:PORT; OUT, data and taxaflow must be at the same "
        "place on all of them (default: this machine alone).",
        *(None, str, _MACHINES),
    )
    cpus_per_trial: int | None = option(
        "(default: all of this machine, so one trial at a time; 1 on a cluster)", None, int, _MACHINES, least=1
    )
    gpus_per_trial: int = option(
        "0 on this machine: each trial sees all GPUs.", 0, int, _MACHINES, least=0, metavar="N"
    )

    out: str | None = option("Where trials and results go.", None, str, _OUTPUT, metavar="DIR")
    keep_checkpoints: bool = option(
        "Keep those of all trials; else those of the best and the default alone.", False, bool, _OUTPUT
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUTPUT)

    def __post_init__(self) -> None:
        """Check every value, and what they must agree on.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        for name in ("recipe", "train_data", "out"):
            if getattr(self, name) is None:
                raise BadInputError(f"{flag_of(name)} is missing; --help shows an example")
        if self.address not in (None, "auto") and not _HOST_PORT.fullmatch(self.address):
            raise BadInputError(
                f"--address {self.address}: run the command on a machine of the cluster with --address auto, or give "
                "HOST:PORT; leave --address out to search on this machine alone"
            )

    @property
    def out_dir(self) -> Path:
        """Where trials and results go, absolute."""
        return Path(self.out or "").absolute()

    @property
    def manifest(self) -> Path:
        """The dataset's manifest, absolute."""
        return Path(self.train_data or "").absolute()


TUNE = command_line.Command(
    name="taxaflow tune",
    usage="--recipe NAME --train-data MANIFEST --out DIR [--trials N] [FLAG ...] [TRAINER FLAG ...]",
    description="Search learning rate, beta1, beta2 and weight decay; trial 0 is the recipe as it is.",
    epilog="""\
examples:
  taxaflow tune --recipe tiny --train-data demo_output/shards/demo/manifest.json --out tuned --max-steps 60
  taxaflow tune --recipe bt-clip-o --train-data manifest.json --out tuned --address auto --gpus-per-trial 8 --nproc 8
  taxaflow train --recipe tuned/best.toml --name best

Flags that are the trainer's (taxaflow train --help) are passed on to every trial; after -- all are taken for such.
Run the same command again to go on with a search that was stopped.""",
    config_class=TuneConfig,
)


def load(arguments: Sequence[str]) -> tuple[TuneConfig, list[str]]:
    """The config, and the words that are the trainer's. --help prints and exits.

    Raises:
        BadInputError: a flag, a key of the file or a value is not allowed, or a file named is not there.
    """
    own, trainers = split(arguments)
    config = command_line.load(TUNE, own)
    check_file("--train-data", config.train_data)
    check_can_be_made("--out", config.out_dir)
    return config, trainers


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of the command's own flags, and those of the trainer's: what neither knows is refused.

    Raises:
        BadInputError: a flag is unknown; names the nearest.
    """
    own_flags = {flag_of(name) for name in options(TuneConfig)} | {"--config", "--help", "-h"}
    trainers_flags = {name for flag in FLAGS for name in flag.names}
    trainers_flags |= {f"--no-{name[2:]}" for name in trainers_flags}
    own: list[str] = []
    trainers: list[str] = []
    taker = own
    for place, word in enumerate(arguments):
        if word == "--":
            trainers += arguments[place + 1 :]
            break
        if word.startswith("-") and not _NUMBER.match(word):
            flag = word.split("=")[0]
            taker = own if flag in own_flags else trainers
            if taker is trainers and flag not in trainers_flags:
                hint = nearest(flag, own_flags | trainers_flags)
                raise BadInputError(f"unknown flag {flag}{hint or '; --help shows all'}")
        taker.append(word)
    return own, trainers
