"""All that is recorded of a model, gathered for its card: where it comes from, its data, its results. No torch."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.loading.facts import ModelFacts
from release.card.card_facts import CardFacts, Interpolated, read_facts
from release.card.citation import references, software
from release.card.data import SeenNames, read_data
from release.card.data_facts import DataRecord
from release.card.result_facts import Measured
from release.card.results import in_order, key_of, pictures_of, read_measured
from release.card.run_facts import RunRecord
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
    interpolated: Interpolated | None = None,
) -> CardFacts:
    """All that is recorded of a model.

    Args:
        facts: how it is built.
        model_hash: of its weights and architecture.
        label: what people call it; folders in it are left out.
        origin: the run, checkpoint, weights file or exported folder that it comes from; None for hubs and tags.
        results: folders of `taxaflow eval --out` with results of it; they replace those that an exported folder has
            of the same tasks.
        manifest: of the dataset that it learnt from; None takes the one that the run was started with, if it is there.
        license: of the model, as its publisher states it.
        interpolated: the two models that it is the average of.

    Raises:
        BadInputError: a record cannot be read, results are of other models or contradict each other, or the manifest
            is of another training.
    """
    stored = _stored(origin)
    base = _without_records(facts, model_hash, label)
    if stored is not None:
        base, origin = _continued(stored, base), None
    run = read_run(origin) if origin else base.run
    data, seen = _data(run, origin, manifest)
    added = {key_of(one): one for one in read_measured(results, model_hash, facts, seen)}
    measured = in_order(({key_of(one): one for one in _kept(stored, base)} | added).values())
    own = tuple(one for one in measured if one.activation == facts.activation)
    others = tuple(one for one in measured if one.activation != facts.activation)
    _tell_of_others(own, others, facts)
    return replace(
        base,
        license=license or base.license,
        run=run,
        data=data or base.data,
        results=own,
        other_activation=others,
        interpolated=interpolated or base.interpolated,
        references=references(run, any(one.published for one in own)),
        software=software(),
    )


def _stored(origin: Path | None) -> CardFacts | None:
    """What the exported folder that a model comes from says of it."""
    return read_facts(origin) if origin is not None and origin.is_dir() else None


def _continued(stored: CardFacts, base: CardFacts) -> CardFacts:
    """What an exported folder says, if it is of the very weights.

    How the model is built is always what is exported now, whatever the folder says. Only where its weights once came
    from, and what once decided an activation that is still its own, a folder knows and its files do not.
    """
    if stored.model_hash != base.model_hash:
        return base
    model = replace(base.model, name=stored.model.name, pretrained=stored.model.pretrained)
    if stored.model.activation == model.activation and not _is_by_flag(model):
        model = replace(model, activation_source=stored.model.activation_source)
    return replace(stored, label=base.label, model=model)


def _is_by_flag(model: ModelFacts) -> bool:
    return model.activation_source.startswith("flag")


def _kept(stored: CardFacts | None, base: CardFacts) -> list[Measured]:
    """The results that an exported folder has of this model; says which are of other pictures."""
    if stored is None or stored.model_hash != base.model_hash:
        return []
    found = [*stored.results, *stored.other_activation]
    kept = [one for one in found if pictures_of(stored.model, one.protocol) == pictures_of(base.model, one.protocol)]
    if len(kept) < len(found):
        _LOG.warning(
            "%d of %d results of the exported folder are left out of the card: its pictures were made otherwise when "
            "they were measured; evaluate this model and add --results",
            *(len(found) - len(kept), len(found)),
        )
    return kept


def _tell_of_others(own: Sequence[Measured], others: Sequence[Measured], facts: ModelFacts) -> None:
    if others and not own:
        _LOG.warning(
            "all results of these weights are under another activation than this model's %s: the card has none of this "
            "model; evaluate it and add --results",
            facts.activation,
        )


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
