"""The settings of a prediction, and the checks that need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.encoding.prompts import PROMPT_SETS
from evaluation.loading.facts import LOCAL
from evaluation.protocols import DEFAULT
from evaluation.settings.command_line import Command
from evaluation.settings.model_settings import ModelSettings
from evaluation.settings.option import option
from evaluation.settings.path_checks import check_can_be_made, check_file
from inference.inputs.input_settings import InputSettings
from inference.predict.cache_folder import user_cache_folder
from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

FORMATS = ("csv", "jsonl", "parquet")

ABOUT_FILE = "about.json"
"""By which a folder of label embeddings is known."""

_ANSWER, _LABELS, _OUT = "Answers", "Labels", "Output"
_GUESSES = 5

MOST_LOGIT_SCALE = 1e6
"""Above it the last bit of a cosine in float32 moves probabilities by several percent."""


@dataclass(frozen=True)
class PredictConfig(InputSettings, ModelSettings):
    """One prediction, checked when it is made."""

    labels: str | None = option(
        "What pictures can be: .txt with a name a line; .csv or .parquet with scientific_name or label, and, where "
        "known, kingdom ... species and common_name; a dataset's manifest.json: its species; or a folder of label "
        "embeddings (default: the model's own).",
        *(None, str, _LABELS),
        metavar="FILE|FOLDER",
    )
    only: str | None = option(
        "Taxa of any rank, a name a line or as a table: only labels that are one or lie under one take part.",
        *(None, str, _LABELS),
        metavar="FILE",
    )
    prompts: str | None = option(
        f"The texts around a label [default: {DEFAULT.prompt_set}, as taxaflow eval]: {', '.join(PROMPT_SETS)}.",
        *(None, str, _LABELS),
        choices=PROMPT_SETS,
        metavar="SET",
    )
    rank: str = option(
        "Of the answers; probabilities of labels are summed by lineage.",
        *("label", str, _ANSWER),
        choices=(*reversed(RANKS), "label"),
    )
    top_k: int | None = option(
        f"Answers of a picture [default: {_GUESSES}; 1 with --min-confidence].", None, int, _ANSWER, least=1
    )
    min_confidence: float | None = option(
        "Answer at the deepest rank, from --rank up to kingdom, whose best probability is at least this.",
        *(None, float, _ANSWER),
        least=0,
        most=1,
    )
    logit_scale: float | None = option(
        "What cosines are multiplied with before the softmax (default: the model's).",
        *(None, float, _ANSWER),
        most=MOST_LOGIT_SCALE,
    )
    out: str | None = option(
        "The file, .csv, .jsonl or .parquet, replaced when all is done (default: stdout).",
        *(None, str, _OUT),
        metavar="FILE",
    )
    format: str | None = option("Of stdout: csv, the default, or jsonl.", None, str, _OUT, choices=FORMATS)
    cache: bool = option("--no-cache keeps no label embeddings.", True, bool, _OUT, can_be_negated=True)
    cache_dir: str | None = option(
        "Where label embeddings are kept (default: taxaflow in the user's cache folder).",
        *(None, str, _OUT),
        metavar="DIR",
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUT)

    def __post_init__(self) -> None:
        """Check every value, and what they must agree on.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        if self.logit_scale is not None and self.logit_scale <= 0:
            raise BadInputError(f"--logit-scale {self.logit_scale}: must be a number above 0")
        if not self.cache and self.cache_dir is not None:
            raise BadInputError(f"--no-cache and --cache-dir {self.cache_dir} contradict each other: drop one")
        if self.labels_path is None:
            raise BadInputError("--labels: say what pictures can be, a list of names; this model brings none")
        self.out_format  # noqa: B018  # refused here if it is none

    @property
    def labels_path(self) -> Path | None:
        """The label list or folder: of --labels, or the model's own, as an exported folder has it."""
        if self.labels is not None:
            return Path(self.labels)
        places = [place for place in (self.choice.pretrained, self.choice.model) if place is not None]
        own = [Path(place.removeprefix(LOCAL)) / "labels" for place in places]
        return next((folder for folder in own if (folder / ABOUT_FILE).is_file()), None)

    @property
    def out_path(self) -> Path | None:
        """The file; None for stdout."""
        return None if self.out is None else Path(self.out)

    @property
    def out_format(self) -> str:
        """One of FORMATS.

        Raises:
            BadInputError: the file's ending says nothing or something else than --format, or parquet is for stdout.
        """
        if self.out is None:
            if self.format == "parquet":
                raise BadInputError("--format parquet: needs --out FILE.parquet; stdout takes csv or jsonl")
            return self.format or "csv"
        ending = Path(self.out).suffix.lower().removeprefix(".")
        if ending not in FORMATS:
            raise BadInputError(f"--out {self.out}: end it with {', '.join(f'.{one}' for one in FORMATS)}")
        if self.format not in (None, ending):
            raise BadInputError(f"--format {self.format} and --out {self.out} contradict each other: drop one")
        return ending

    @property
    def label_cache(self) -> Path | None:
        """Folder of the cache; None for nowhere."""
        if not self.cache:
            return None
        return Path(self.cache_dir) if self.cache_dir else user_cache_folder()

    @property
    def guesses(self) -> int:
        """Answers of a picture."""
        return self.top_k or (_GUESSES if self.min_confidence is None else 1)


def check_paths(config: PredictConfig) -> None:
    """Check that what is named is there, and that the output can be written.

    Raises:
        BadInputError: not so; names the flag.
    """
    if config.labels is not None and not Path(config.labels).exists():
        raise BadInputError(f"--labels {config.labels}: no such file or folder")
    check_file("--only", config.only)
    if config.out_path is not None:
        if config.out_path.is_dir():
            raise BadInputError(f"--out {config.out}: is a folder; give a file")
        check_can_be_made("--out", config.out_path.parent)
        _check_is_no_input(config, config.out_path)
    if config.cache_dir is not None:
        check_can_be_made("--cache-dir", Path(config.cache_dir))


def _check_is_no_input(config: PredictConfig, out: Path) -> None:
    """Check that no file of the inputs would be replaced by the answers, whatever name or link it goes by."""
    if not out.exists():
        return
    own = config.labels_path
    named = [("--labels", path) for path in ([own, *own.iterdir()] if own is not None and own.is_dir() else [own])]
    named += [("--only", config.only), ("--urls", config.urls), ("--shards", config.shards)]
    named += [(flag, getattr(config, flag[2:])) for flag in ("--model", "--pretrained", "--resume")]
    if config.images_dir is not None:
        named += [("--images-dir", path) for path in Path(config.images_dir).glob("*.csv")]
    for flag, path in (*named, *(("INPUT", word) for word in config.inputs)):
        if path is not None and Path(path).exists() and out.samefile(path):
            raise BadInputError(is_input(config.out, flag, path))


def is_input(out: str | None, flag: str, path: str | Path) -> str:
    """Why answers are not written over an input."""
    return f"--out {out}: is {path} of {flag}, which the answers would replace; give another file"


PREDICT = Command(
    name="taxaflow predict",
    usage="INPUT ... --resume CKPT --labels FILE [--out FILE] [FLAG ...]",
    description="What pictures show: the best of a list of labels for each, or their taxa at a rank.",
    epilog="""\
examples:
  taxaflow predict photos/ --resume demo_output/runs/demo --labels demo_output/shards/demo/manifest.json --out names.csv
  taxaflow predict photos/ --model local-dir:released --rank family --top-k 3 --format jsonl
  taxaflow predict --urls list.txt --images-dir photos --resume runs/bt --labels species.csv --min-confidence 0.8
  taxaflow predict --shards shards/manifest.json --resume runs/bt --labels species.parquet --only region.txt

Pictures that cannot be read are rows with a reason, and counted in the last line of stderr.""",
    config_class=PredictConfig,
    words=("inputs", "INPUT"),
)
