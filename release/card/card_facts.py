"""What a model card says, as recorded: a tree of frozen dataclasses that goes to JSON and back.

The card (README.md) and taxaflow.json of an exported folder are both made from it: run_facts.py, data_facts.py and
result_facts.py hold its branches. No machine's paths, no times.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.loading.facts import ModelFacts
from release.card.data_facts import DataRecord
from release.card.plain_values import from_plain, to_plain
from release.card.result_facts import Measured
from release.card.run_facts import RunRecord
from taxonomy.errors import BadInputError

FACTS_FILE = "taxaflow.json"
"""The record in an exported folder, which holds these facts beside the folder's files."""

SCHEMA_VERSION = 1


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
