"""The flags that say what models are evaluated on, the same for every command that does. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evaluation.benchmarks.benchmark import CLASS_LISTS, LABEL, NINE_LEVELS, PUBLISHED
from evaluation.encoding.prompts import PROMPT_SETS
from evaluation.protocols import PROTOCOLS
from evaluation.settings.config_checks import DATA_FIELDS
from evaluation.settings.option import Settings, option
from taxonomy.ranks import RANKS

TAXA = ("all", "headline", *NINE_LEVELS, LABEL, "stage", *(f"rollup_{rank}" for rank in RANKS))
"""Everything that --taxon can be; which of it a benchmark has depends on its columns."""

_SETS, GROUP_PUBLISHED, GROUP_TASKS = (
    "Benchmarks",
    "Published benchmarks, each with an optional CSV",
    "Tasks and protocol",
)


def _benchmark(help_text: str) -> Any:
    """A published benchmark flag: alone it means the published CSV, else its value is the CSV or its folder."""
    return option(help_text, False, str, GROUP_PUBLISHED, metavar="CSV", may_be_alone=True)


@dataclass(frozen=True)
class BenchmarkSettings(Settings):
    """Which benchmarks, and what is asked on them; configs of commands inherit it and add their own fields."""

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
        *(None, str, GROUP_PUBLISHED),
        metavar="DIR",
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
        *(("all",), tuple, GROUP_TASKS),
        choices=TAXA,
        metavar="LEVEL",
    )
    class_list: str = option(
        "Class names with or without their known typos.", PUBLISHED, str, GROUP_TASKS, choices=CLASS_LISTS
    )
    protocol: str = option(
        "; ".join(f"{name}: {one.doc}" for name, one in PROTOCOLS.items()) + ".",
        *("default", str, GROUP_TASKS),
        choices=tuple(PROTOCOLS),
    )
    prompts: str | None = option(
        f"Instead of the protocol's: {', '.join(PROMPT_SETS)}.",
        None,
        str,
        GROUP_TASKS,
        choices=PROMPT_SETS,
        metavar="SET",
    )

    @property
    def has_benchmarks(self) -> bool:
        """Whether anything to evaluate on is named."""
        return any(getattr(self, name) for name in DATA_FIELDS)
