"""The settings of an evaluation: one frozen dataclass, made of flags over a TOML file over defaults. No torch here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.benchmarks.benchmark import CLASS_LISTS, LABEL, NINE_LEVELS, PUBLISHED
from evaluation.encoding.prompts import PROMPT_SETS
from evaluation.loading.activation import ACTIVATIONS
from evaluation.protocols import PROTOCOLS
from evaluation.settings.baselines import BASELINES
from evaluation.settings.config_checks import check_together
from evaluation.settings.option import flag_of, option, options
from taxonomy.ranks import RANKS
from taxonomy.toml_text import to_toml

TAXA = ("all", "headline", *NINE_LEVELS, LABEL, "stage", *(f"rollup_{rank}" for rank in RANKS))
"""Everything that --taxon can be; which of it a benchmark has depends on its columns."""

PRECISIONS = ("fp32", "amp_bf16", "amp", "amp_bfloat16", "bf16", "fp16")

_SETS, _PUBLISHED = "Benchmarks", "Published benchmarks, each with an optional CSV"
_TASKS, _MODEL, _RUN, _OUTPUT = "Tasks and protocol", "Model", "Speed", "Output"


def _benchmark(help_text: str) -> Any:
    """A published benchmark flag: alone it means the published CSV, else its value is the CSV or its folder."""
    return option(help_text, False, str, _PUBLISHED, metavar="CSV", may_be_alone=True)


@dataclass(frozen=True)
class EvalConfig:
    """Every setting of an evaluation, checked when it is made; a field is its flag's name with _ for -."""

    arbor_val: bool | str = _benchmark("BioTrove-Balanced.")
    arbor_rare: bool | str = _benchmark("BioTrove-Unseen.")
    lifestages: bool | str = _benchmark("BioTrove-LifeStages.")
    bioclip_rare: bool | str = _benchmark("BioCLIP-Rare.")
    confounding: bool | str = _benchmark("Confounding species.")
    deepweeds: bool | str = _benchmark("DeepWeeds.")
    fungi: bool | str = _benchmark("Fungi.")
    insects2: bool | str = _benchmark("IP102 Insects-2.")
    birds: str | None = option(
        "Birds525: the folder with birds.csv (or birds525_metadata.csv) and pictures, or the CSV.",
        *(None, str, _PUBLISHED),
        metavar="DIR",
    )
    ds_filter: str | None = option(
        "Accepted with --birds, which is never filtered here.", None, str, _PUBLISHED, choices=("birds",)
    )

    benchmarks: tuple[str, ...] = option("Registry names, or all.", (), tuple, _SETS, metavar="NAME")
    imagenet_val: str | None = option(
        "ImageNet's validation pictures, a folder per class.", None, str, _SETS, metavar="DIR"
    )
    csv: str | None = option("Any CSV with a column of paths and one of labels.", None, str, _SETS, metavar="FILE")
    label_column: str | None = option("The label's column in --csv.", None, str, _SETS, metavar="NAME")
    folder: str | None = option("Any folder with a sub-folder of pictures per class.", None, str, _SETS, metavar="DIR")
    shards: str | None = option("taxaflow shards by their manifest.json.", None, str, _SETS, metavar="MANIFEST")
    split: str = option("The split of --shards.", "test", str, _SETS, choices=("train", "val", "test"))
    benchmarks_root: str = option("Folder of the published CSVs.", "metadata", str, _SETS, metavar="DIR")
    images_root: str | None = option(
        "Where pictures lie, whatever paths a CSV holds: matched by the end of the path.",
        None,
        str,
        _SETS,
        metavar="DIR",
    )

    taxon: tuple[str, ...] = option(
        "A level (kingdom ... species, scientific_name, common_name, label), rollup_<rank>, headline, or all: every "
        "level and roll-up from one pass over the pictures. The published default was kingdom: a task of one or two "
        "classes.",
        *(("all",), tuple, _TASKS),
        choices=TAXA,
        metavar="LEVEL",
    )
    class_list: str = option(
        "Class names with or without their known typos.", PUBLISHED, str, _TASKS, choices=CLASS_LISTS
    )
    protocol: str = option(
        "; ".join(f"{name}: {one.doc}" for name, one in PROTOCOLS.items()) + ".",
        *("default", str, _TASKS),
        choices=tuple(PROTOCOLS),
    )
    prompts: str | None = option(
        f"Instead of the protocol's: {', '.join(PROMPT_SETS)}.", None, str, _TASKS, choices=PROMPT_SETS, metavar="SET"
    )
    few_shot: bool = option("1 and 5 shots too, 5 folds.", False, bool, _TASKS, can_be_negated=True)
    linear_probe: bool = option("Logistic regression too.", False, bool, _TASKS, can_be_negated=True)
    seed: int = option("Of resampling for intervals, and of the probe.", 0, int, _TASKS, least=0)

    model: str | None = option(
        "An open_clip name (resnet50 is its RN50), local-dir:FOLDER, hf-hub:ORG/NAME or a checkpoint folder.",
        *(None, str, _MODEL),
        metavar="NAME",
    )
    pretrained: str | None = option(
        "A tag of open_clip, weights file, folder or hub model.", None, str, _MODEL, metavar="TAG"
    )
    resume: str | None = option(
        "A checkpoint: step_* or run folder of this trainer, .pt, or bare weights with --activation.",
        *(None, str, _MODEL),
        metavar="CKPT",
    )
    baseline: tuple[str, ...] = option(
        "Published models, beside --model or alone: "
        + "; ".join(f"{name}: {one.doc}" for name, one in BASELINES.items())
        + ".",
        *((), tuple, _MODEL),
        choices=tuple(BASELINES),
        metavar="NAME",
    )
    activation: str | None = option(
        "Of bare weights, which do not tell it. both: each in turn, as two results.",
        *(None, str, _MODEL),
        choices=(*ACTIVATIONS, "both"),
    )
    force: bool = option("--activation may contradict what the weights say.", False, bool, _MODEL)
    image_size: int | None = option("Side of the pictures, px (default: the model's).", None, int, _MODEL, least=1)
    precision: str = option(
        "fp32, or autocast to bf16 (amp_bf16, also amp_bfloat16, bf16) or fp16 (amp, also fp16; CUDA alone). The "
        "published default was amp.",
        *("fp32", str, _MODEL),
        choices=PRECISIONS,
        metavar="NAME",
    )

    batch_size: int = option("Pictures of one forward pass.", 64, int, _RUN, least=1)
    workers: int = option("Processes that decode pictures; 0: this one.", 2, int, _RUN, least=0)
    device: str | None = option(
        "cpu, cuda, cuda:N or mps (default: cuda where there is one, else cpu).", None, str, _RUN
    )
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
        for name, one in options(EvalConfig).items():
            object.__setattr__(self, name, one.checked(flag_of(name), getattr(self, name)))
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
