"""All that is recorded of a model, gathered for its card: where it comes from, its data, its results. No torch."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.loading.facts import ModelFacts
from release.card.card_facts import CardFacts, DataRecord, RunRecord, read_facts
from release.card.citation import references, software
from release.card.data import SeenNames, read_data
from release.card.results import read_measured
from release.card.run_record import read_run, train_manifest
from release.card.words import one_line, text_without_folders, without_folders
from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)


def collect_card_facts(
    facts: ModelFacts,
    model_hash: str,
    label: str,
    origin: Path | None,
    results: Sequence[Path] = (),
    manifest: Path | None = None,
    license: str | None = None,
) -> CardFacts:
    """All that is recorded of a model.

    Args:
        facts: how it is built.
        model_hash: of its weights and architecture.
        label: what people call it; folders in it are left out.
        origin: the run, checkpoint, weights file or exported folder that it comes from; None for hubs and tags.
        results: folders of `taxaflow eval --out` with results of it.
        manifest: of the dataset that it learnt from; None takes the one that the run was started with, if it is there.
        license: of the model, as its publisher states it.

    Raises:
        BadInputError: a record cannot be read, results are of other models, or the manifest is of another training.
    """
    stored = _stored(origin)
    base = _without_records(facts, model_hash, label)
    if stored is not None:
        base, origin = _continued(stored, base), None
    run = read_run(origin) if origin else base.run
    data, seen = _data(run, origin, manifest)
    measured = read_measured(results, model_hash, seen)
    own = tuple(one for one in measured if one.activation == facts.activation)
    others = tuple(one for one in measured if one.activation != facts.activation)
    return replace(
        base,
        license=license or base.license,
        run=run,
        data=data or base.data,
        results=own if results else base.results,
        other_activation=others if results else base.other_activation,
        references=references(run, any(one.published for one in own or base.results)),
        software=software(),
    )


def _stored(origin: Path | None) -> CardFacts | None:
    """What the exported folder that a model comes from says of it."""
    return read_facts(origin) if origin is not None and origin.is_dir() else None


def _continued(stored: CardFacts, base: CardFacts) -> CardFacts:
    """What an exported folder says, if it is of the very weights; a folder does not know what those once came from."""
    if stored.model_hash != base.model_hash:
        return base
    is_same = stored.model.activation == base.model.activation
    return replace(stored, label=base.label, model=stored.model if is_same else base.model)


def _without_records(facts: ModelFacts, model_hash: str, label: str) -> CardFacts:
    return CardFacts(one_line(without_folders(label)) or "model", _public(facts), model_hash)


def _data(run: RunRecord | None, origin: Path | None, manifest: Path | None) -> tuple[DataRecord | None, SeenNames]:
    """The dataset named, or that of the run as far as it is still there: shards may have moved since."""
    if manifest is not None:
        return read_data(manifest, run)
    found = train_manifest(origin) if origin is not None else None
    if found is None:
        return None, {}
    for count in (True, False):
        try:
            return read_data(found, run, count)
        except BadInputError as error:
            _LOG.warning("%s; the card says %s", error, "no licences" if count else "nothing of the data")
    return None, {}


def _public(facts: ModelFacts) -> ModelFacts:
    """The facts without a machine's folders."""
    source = facts.activation_source
    for place in sorted(filter(None, (facts.name, facts.pretrained)), key=len, reverse=True):
        source = source.replace(place, without_folders(place))
    pretrained = None if facts.pretrained is None else without_folders(facts.pretrained)
    return replace(
        facts,
        name=without_folders(facts.name),
        pretrained=pretrained,
        activation_source=text_without_folders(source),
    )
