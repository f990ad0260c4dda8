"""The settings of an interpolation: two models, the points between them, and what to evaluate them on. No torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evaluation.loading.facts import HUB, LOCAL
from evaluation.settings.baselines import ModelChoice, choose
from evaluation.settings.benchmark_settings import BenchmarkSettings
from evaluation.settings.config import EvalConfig
from evaluation.settings.config_checks import PUBLISHED_FLAGS, check_model, check_paths
from evaluation.settings.model_settings import ModelSettings
from evaluation.settings.option import Settings, flag_of, option, option_of
from evaluation.settings.path_checks import check_can_be_made
from release.folder.whole_folder import check_out
from taxonomy.errors import BadInputError
from taxonomy.toml_text import to_toml

RESULTS, CACHE = "results", "cache"
"""Folders of the result files, and of embeddings unless --cache-dir names another, below OUT."""

CONFIG_FILE = "config.toml"
"""The settings, in OUT."""

_FIRST_LINE = "# Settings of an interpolation, for --config.\n"

_POINTS, _MODEL, _OUTPUT = "Two models and the points between them", "Model", "Output"
_WITH_FACTS = (".pt", ".safetensors")
_NEED_A_BENCHMARK = ("label_column", "images_root", "choose_by")


@dataclass(frozen=True)
class LineSettings(Settings):
    """The two models, and the points between them."""

    from_model: str | None = option(
        "The model at alpha 0, most often the one that training began with: a step_* or run folder of this trainer, "
        "local-dir:FOLDER, hf-hub:ORG/NAME, a .pt, or with --model a tag of open_clip or bare weights.",
        *(None, str, _POINTS),
        also=("--from",),
        metavar="MODEL",
    )
    to_model: str | None = option(
        "The model at alpha 1, most often the trained one; as --from.",
        *(None, str, _POINTS),
        also=("--to",),
        metavar="MODEL",
    )
    alphas: tuple[str, ...] = option(
        "Shares of --to in the average, each from 0 to 1.",
        ("0", "0.25", "0.5", "0.75", "1"),
        *(tuple, _POINTS),
        metavar="X",
    )
    choose_by: str | None = option(
        "The benchmark by whose top-1 the best point is chosen, one kept for choosing (default: the mean of all); of "
        "equal points the one nearer to --from.",
        *(None, str, _POINTS),
        metavar="NAME",
    )

    @cached_property
    def points(self) -> list[float]:
        """The alphas, ascending, each once.

        Raises:
            BadInputError: none, or one that is no number from 0 to 1.
        """
        if not self.alphas:
            raise BadInputError("--alphas: give at least one number from 0 to 1")
        return sorted({_alpha(text) for text in self.alphas})


@dataclass(frozen=True)
class InterpolateConfig(BenchmarkSettings, LineSettings):
    """Every setting of an interpolation, checked when it is made; a field is its flag's name with _ for -."""

    taxon: tuple[str, ...] = option_of(BenchmarkSettings, "taxon", default=("headline",))

    model: str | None = option(
        "open_clip's name of the architecture, for a tag or bare weights.", None, str, _MODEL, metavar="NAME"
    )
    activation: str | None = option_of(ModelSettings, "activation")
    force: bool = option_of(ModelSettings, "force")
    precision: str = option_of(ModelSettings, "precision")
    device: str | None = option_of(ModelSettings, "device")

    batch_size: int = option_of(EvalConfig, "batch_size")
    workers: int = option_of(EvalConfig, "workers")
    cache: bool = option_of(EvalConfig, "cache")
    cache_dir: str | None = option_of(EvalConfig, "cache_dir")

    out: str = option("Where points, results and the page go.", "interpolated", str, _OUTPUT, metavar="DIR")
    save_all: bool = option("Write every point as a folder, not the best alone.", False, bool, _OUTPUT)
    debug: bool = option_of(EvalConfig, "debug")

    def __post_init__(self) -> None:
        """Check every value, and what they must agree on.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        object.__setattr__(self, "alphas", _as_texts(self.alphas))
        super().__post_init__()
        self.points  # noqa: B018  # refused here if they cannot be used
        self.ends  # noqa: B018
        check_model(self.activation, self.force, self.device)
        if self.has_benchmarks:
            self.evaluation()
        given = [name for name in _NEED_A_BENCHMARK if getattr(self, name) is not None]
        if given and not self.has_benchmarks:
            raise BadInputError(f"{flag_of(given[0])} {getattr(self, given[0])}: goes with a benchmark only")

    @cached_property
    def ends(self) -> tuple[ModelChoice, ModelChoice]:
        """The models at alpha 0 and 1; of a run that goes on, its newest checkpoint when first asked for.

        Raises:
            BadInputError: one is not named, or is no file or folder and no tag either.
        """
        return _end("--from", self.from_model, self.model), _end("--to", self.to_model, self.model)

    @property
    def label(self) -> str:
        """What people call the line between the two."""
        return "..".join(end.label for end in self.ends)

    @property
    def out_dir(self) -> Path:
        """Where everything is written."""
        return Path(self.out)

    @property
    def best_dir(self) -> Path:
        """Where the chosen point is written."""
        return self.out_dir / "best"

    def point_dir(self, alpha: float) -> Path:
        """Where a point is written whatever its figures: named by the shortest digits that tell its alpha."""
        return self.out_dir / f"alpha_{alpha!r}"

    @property
    def folders(self) -> list[Path]:
        """The folders of models that will be written."""
        best = [self.best_dir] if self.has_benchmarks else []
        return best + [self.point_dir(alpha) for alpha in self.points if self.save_all or not best]

    def evaluation(self) -> EvalConfig:
        """The same benchmarks and tasks as settings of an evaluation; its model is not looked at.

        Raises:
            BadInputError: two settings contradict each other.
        """
        shared = {one.name for one in dataclasses.fields(EvalConfig)} & {one.name for one in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in shared - {"model", "activation", "force"}}
        cache = self.cache_dir or (str(self.out_dir / CACHE) if self.cache else None)
        return EvalConfig(**values | {"model": "points", "out": str(self.out_dir / RESULTS), "cache_dir": cache})

    def to_toml(self) -> str:
        """The settings as TOML, which --config reads; those left at None or off are not in it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept = {name: value for name, value in values.items() if value != ()}
        return _FIRST_LINE + to_toml(kept)


def check_files(config: InterpolateConfig) -> None:
    """Check that files and folders named are there, and that OUT can be written; nothing is opened or made.

    Raises:
        BadInputError: one is missing, is a file where a folder is meant or the other way round, or would be lost.
    """
    check_can_be_made("--out", config.out_dir)
    _check_not_replaced(config)
    for folder in config.folders:
        check_out("--out", folder)
    if config.has_benchmarks:
        check_paths(config.evaluation())


def _check_not_replaced(config: InterpolateConfig) -> None:
    """Check that neither a model to average nor settings of somebody else are where something is written."""
    for flag, place in (("--from", config.from_model), ("--to", config.to_model)):
        source = Path((place or "").removeprefix(LOCAL)).resolve()
        for folder in config.folders:
            if folder.resolve() in (source, *source.parents):
                raise BadInputError(f"--out {config.out}: {folder} is written anew, and {flag} is there; give another")
    settings = config.out_dir / CONFIG_FILE
    if settings.is_file() and not settings.read_bytes().startswith(_FIRST_LINE.encode()):
        raise BadInputError(f"--out {config.out}: its {CONFIG_FILE} is not of this command; give another folder")


def digits(alpha: float) -> str:
    """The fewest digits that tell an alpha from every other: 0, 0.25, 1."""
    return repr(alpha).removesuffix(".0")


def published_names() -> set[str]:
    """Benchmarks that are published tests."""
    return {*PUBLISHED_FLAGS.values(), "imagenet_val"}


def _as_texts(alphas: Any) -> Any:
    """Numbers of a TOML file as the texts that the command line has; anything else as it is."""
    parts = alphas if isinstance(alphas, list | tuple) else (alphas,)
    return tuple(str(part) if type(part) in (int, float) else part for part in parts)


def _alpha(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadInputError(f"--alphas {text!r} does not fit: give numbers from 0 to 1") from None
    if not 0 <= value <= 1:
        raise BadInputError(f"--alphas {text}: between the models are 0 (--from) to 1 (--to); beyond them is refused")
    return value + 0.0  # no -0


def _end(flag: str, place: str | None, model: str | None) -> ModelChoice:
    if place is None:
        raise BadInputError(f"{flag} is missing: give a checkpoint, local-dir:FOLDER, hf-hub:ORG/NAME, or a tag")
    if place.startswith((LOCAL, HUB)) or Path(place).exists():
        if model is None and Path(place).is_file() and Path(place).suffix not in _WITH_FACTS:
            raise BadInputError(f"{flag} {place}: add --model, which says what it is the weights of")
        return choose(model, None, place)[0]
    if model is None:
        raise BadInputError(f"{flag} {place}: no such file or folder; for a tag of open_clip add --model")
    return choose(model, place, None)[0]
