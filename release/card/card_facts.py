"""What a model card says, as recorded: a tree of frozen dataclasses that goes to JSON and back.

The card (README.md) and taxaflow.json of an exported folder are both made from it. No machine's paths, no times.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.loading.facts import ModelFacts
from release.card.plain_values import from_plain, to_plain
from taxonomy.errors import BadInputError

FACTS_FILE = "taxaflow.json"
"""The record in an exported folder, which holds these facts beside the folder's files."""

SCHEMA_VERSION = 1

TRAIN = "train"
"""The split that models learn from."""


@dataclass(frozen=True)
class Difference:
    """A setting of the run that is another than in what it is compared with; values in words.

    Attributes:
        name: the flag's, with _ for -.
        here: of the run.
        there: of what it is compared with.
    """

    name: str
    here: str
    there: str


@dataclass(frozen=True)
class TrainingLog:
    """What train.jsonl says up to the checkpoint's step.

    Attributes:
        first_step, first_loss: of the first line with a loss.
        last_step, last_loss: of the last line with a loss.
        images_per_s: median over the lines.
        captions: kind -> pairs.
        bad_samples: reason -> samples.
        skipped_steps: bad steps.
        resumes: steps from which the run went on after a stop.
        is_done: the run reached its last step, and this checkpoint is of it.
        later_steps: how far the log goes on behind the checkpoint.
        num_unreadable_lines: torn or foreign ones.
        evaluation_step: of the last evaluation.
        evaluation: its figures by the names that the run gave them.
    """

    first_step: int | None = None
    first_loss: float | None = None
    last_step: int | None = None
    last_loss: float | None = None
    images_per_s: float | None = None
    captions: Mapping[str, int] = field(default_factory=dict)
    bad_samples: Mapping[str, int] = field(default_factory=dict)
    skipped_steps: int = 0
    resumes: tuple[int, ...] = ()
    is_done: bool = False
    later_steps: int = 0
    num_unreadable_lines: int = 0
    evaluation_step: int | None = None
    evaluation: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """A training run up to one checkpoint; None where there is no record.

    Attributes:
        name: of the run.
        recipe: a built-in one by its name, an own one by its file's name; None without one.
        is_built_in: whether the recipe comes with the project.
        from_recipe: where the run differs from its built-in recipe.
        published_recipe: the published one that it is compared with.
        from_published: where it differs from what is published of that; values that are not published are left out.
        settings: those that shape what is learnt, in words.
        step: optimizer steps.
        epoch: whole passes over the data.
        samples_seen: pictures, of all ranks.
        num_ranks: processes.
        data_sha256: what the run's data loader calls its list of shards.
        log: of train.jsonl.
    """

    name: str | None = None
    recipe: str | None = None
    is_built_in: bool = False
    from_recipe: tuple[Difference, ...] = ()
    published_recipe: str = ""
    from_published: tuple[Difference, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None
    samples_seen: int | None = None
    num_ranks: int | None = None
    data_sha256: str | None = None
    log: TrainingLog | None = None


@dataclass(frozen=True)
class LicenceCount:
    """Pictures under one licence, as their records spell it; None for those without.

    Attributes:
        licence: as recorded.
        pictures: split -> pictures.
        without_attribution: of all splits, pictures that name no one.
    """

    licence: str | None
    pictures: Mapping[str, int]
    without_attribution: int = 0

    @property
    def total(self) -> int:
        """Of all splits."""
        return sum(self.pictures.values())


@dataclass(frozen=True)
class SplitRecord:
    """One split of a dataset.

    Attributes:
        name: train, val or test.
        num_pictures: by the manifest.
        num_species: distinct species; None where the shards were not read.
        num_taxa: distinct taxa, species or not; None likewise.
        shards_sha256: of its shards' sha256s, one a line.
        shards: file -> sha256, in the manifest's order.
    """

    name: str
    num_pictures: int
    num_species: int | None
    num_taxa: int | None
    shards_sha256: str
    shards: Mapping[str, str]


@dataclass(frozen=True)
class DataRecord:
    """The dataset that the model learnt from.

    Attributes:
        dataset: its name.
        rendition, layout: of its pictures and tars.
        tables: table -> version that it was made from.
        manifest_sha256: of the manifest.
        is_trained_on: True where the run's checkpoint names exactly these shards, None where it names none.
        splits: as in the manifest.
        licences: most frequent first; None where the shards were not read.
    """

    dataset: str
    rendition: str
    layout: str
    tables: Mapping[str, int]
    manifest_sha256: str
    is_trained_on: bool | None
    splits: tuple[SplitRecord, ...]
    licences: tuple[LicenceCount, ...] | None


@dataclass(frozen=True)
class Figure:
    """A metric with the ends of its interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PublishedFigure:
    """A published top-1 of another model on the same benchmark, percent, with the half width of its interval."""

    model: str
    top1: float
    half_width: float


@dataclass(frozen=True)
class Measured:
    """One result of the evaluation; fields as in its file, but for those below.

    Attributes:
        title: what people call the benchmark.
        interval_level: share of repetitions that intervals are to cover.
        num_classes_seen: classes whose name is in the training split; None where that is not known.
        mean_confidence: of the first guesses; None where it was not measured.
        published: figures of the paper; empty but for headlines.
        published_num_images: pictures as the paper counts them.
    """

    benchmark: str
    title: str
    taxon: str
    class_list: str
    protocol: str
    headline: bool
    activation: str | None
    precision: str | None
    prompt_set: str
    logit_scale: float | None
    class_list_sha256: str
    num_classes: int
    num_classes_seen: int | None
    num_images: int
    num_missing: int
    num_unreadable: int
    num_null_label: int
    chance: float | None
    majority: float | None
    interval_level: float
    interval_method: str
    metrics: Mapping[str, Figure]
    mean_confidence: float | None = None
    published: tuple[PublishedFigure, ...] = ()
    published_num_images: int | None = None

    @property
    def top1(self) -> Figure:
        """Share of right first guesses."""
        return self.metrics["top1"]


@dataclass(frozen=True)
class Interpolated:
    """That a model is the average (1 - alpha) FROM + alpha TO of the weights of two.

    Attributes:
        from_model, to_model: what people call the two.
        alpha: the share of `to_model`.
        chosen_by: the rule by which this point was chosen among others; None where it was not.
        flatters: why its figures promise too much; None where nothing is known against them.
    """

    from_model: str
    to_model: str
    alpha: float
    chosen_by: str | None = None
    flatters: str | None = None


@dataclass(frozen=True)
class Reference:
    """Something to cite."""

    title: str
    authors: str = ""
    venue: str = ""
    year: int | None = None
    note: str = ""


@dataclass(frozen=True)
class CardFacts:
    """All that a card says.

    Attributes:
        label: what people call the model.
        model: how it is built; names without folders.
        model_hash: of its weights and architecture.
        license: as the publisher states it; None where nothing is stated.
        run: the training; None where there is no record.
        data: what it learnt from; None likewise.
        results: evaluations of these weights under this activation.
        other_activation: the same of these weights under the other one.
        interpolated: the two models that it is the average of; None for any other model.
        references: to cite.
        software: name and version that wrote the card.
    """

    label: str
    model: ModelFacts
    model_hash: str
    license: str | None = None
    run: RunRecord | None = None
    data: DataRecord | None = None
    results: tuple[Measured, ...] = ()
    other_activation: tuple[Measured, ...] = ()
    interpolated: Interpolated | None = None
    references: tuple[Reference, ...] = ()
    software: str = "taxaflow"
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able copy, from which `from_dict` makes an equal one."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], where: str = FACTS_FILE) -> "CardFacts":
        """The facts as stored; keys that are unknown here are passed over.

        Raises:
            BadInputError: one is missing or of another type, or they are of another version; begins with `where`.
        """
        version = stored.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BadInputError(f"{where}: schema_version is {version!r}, {SCHEMA_VERSION} can be read")
        return from_plain(cls, stored, where)


def read_facts(folder: Path) -> CardFacts | None:
    """The facts of an exported folder; None where it has none, as that of a model without a card.

    Raises:
        BadInputError: they cannot be read.
    """
    file = folder / FACTS_FILE
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{file} cannot be read: {error}; export the model again") from error
    has_card = isinstance(record, dict) and "label" in record
    return CardFacts.from_dict(record, str(file)) if has_card else None
