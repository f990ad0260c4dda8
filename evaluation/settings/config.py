"""The settings of an evaluation: one frozen dataclass, made of flags over a TOML file over defaults. No torch here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from evaluation.loading.activation import ACTIVATIONS
from evaluation.settings.baselines import BASELINES
from evaluation.settings.benchmark_settings import GROUP_PUBLISHED, GROUP_TASKS, BenchmarkSettings
from evaluation.settings.config_checks import check_together
from evaluation.settings.model_settings import ModelSettings
from evaluation.settings.option import option, option_of
from taxonomy.toml_text import to_toml

_MODEL, _RUN, _OUTPUT = "Model", "Speed", "Output"


@dataclass(frozen=True)
class EvalConfig(BenchmarkSettings):
    """Every setting of an evaluation, checked when it is made; a field is its flag's name with _ for -.

    It does not inherit ModelSettings, which name one model: here it may be several, or both activations of one.
    """

    ds_filter: str | None = option(
        "Accepted with --birds, which is never filtered here.", None, str, GROUP_PUBLISHED, choices=("birds",)
    )
    few_shot: bool = option("1 and 5 shots too, 5 folds.", False, bool, GROUP_TASKS, can_be_negated=True)
    linear_probe: bool = option("Logistic regression too.", False, bool, GROUP_TASKS, can_be_negated=True)
    seed: int = option("Of resampling for intervals, and of the probe.", 0, int, GROUP_TASKS, least=0)

    model: str | None = option_of(
        ModelSettings,
        "model",
        help="An open_clip name (resnet50 is its RN50), local-dir:FOLDER, hf-hub:ORG/NAME or a checkpoint folder.",
    )
    pretrained: str | None = option_of(ModelSettings, "pretrained")
    resume: str | None = option_of(ModelSettings, "resume")
    baseline: tuple[str, ...] = option(
        "Published models, beside --model or alone: "
        + "; ".join(f"{name}: {one.doc}" for name, one in BASELINES.items())
        + ".",
        *((), tuple, _MODEL),
        choices=tuple(BASELINES),
        metavar="NAME",
    )
    activation: str | None = option_of(
        ModelSettings,
        "activation",
        help="Of bare weights, which do not tell it. both: each in turn, as two results.",
        choices=(*ACTIVATIONS, "both"),
    )
    force: bool = option_of(ModelSettings, "force")
    image_size: int | None = option("Side of the pictures, px (default: the model's).", None, int, _MODEL, least=1)
    precision: str = option_of(
        ModelSettings,
        "precision",
        help="fp32, or autocast to bf16 (amp_bf16, also amp_bfloat16, bf16) or fp16 (amp, also fp16; CUDA alone). The "
        "published default was amp.",
    )

    batch_size: int = option("Pictures of one forward pass.", 64, int, _RUN, least=1)
    workers: int = option("Processes that decode pictures; 0: threads of this one.", 2, int, _RUN, least=0)
    device: str | None = option_of(ModelSettings, "device", group=_RUN)
    nproc: int = option(
        "Processes to start on this machine; torchrun -m evaluation does the same.", 1, int, _RUN, least=1
    )
    cache: bool = option("--no-cache keeps no embeddings.", True, bool, _RUN, can_be_negated=True)
    cache_dir: str | None = option("Where embeddings are kept (default: OUT/cache).", None, str, _RUN, metavar="DIR")

    out: str = option("Where results go.", "results", str, _OUTPUT, also=("--logs",), metavar="DIR")
    name: str | None = option(
        "Of the run: a sub-folder of OUT, and its name in wandb.", None, str, _OUTPUT, metavar="NAME"
    )
    report_to: str = option("wandb or none; results.jsonl always.", "none", str, _OUTPUT, choices=("wandb", "none"))
    zeroshot_frequency: int = option(
        "Accepted: a model is evaluated once, whatever epoch it is of.", 1, int, _OUTPUT, least=0
    )
    debug: bool = option("Log more, show the trace of an error.", False, bool, _OUTPUT)

    def __post_init__(self) -> None:
        """Check every value, and what they must agree on.

        Raises:
            BadInputError: a value is not allowed; names its flag.
        """
        super().__post_init__()
        check_together(self)

    @property
    def out_dir(self) -> Path:
        """Where results are written."""
        return Path(self.out) / self.name if self.name else Path(self.out)

    @property
    def embeddings_dir(self) -> Path | None:
        """Where embeddings are kept; None for nowhere."""
        if not self.cache:
            return None
        return Path(self.cache_dir) if self.cache_dir else self.out_dir / "cache"

    def to_toml(self) -> str:
        """The settings as TOML, which --config reads; those left at None or off are not in it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept = {name: value for name, value in values.items() if value != ()}
        return "# Settings of an evaluation, for --config.\n" + to_toml(kept)
