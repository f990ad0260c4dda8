"""One export: model in, folder out, and on to the hub if asked for."""

import logging
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.loading.facts import HUB, LOCAL, WEIGHTS_FILE, newest_checkpoint
from evaluation.loading.origin import find_origin
from release.card.card_facts import CardFacts
from release.card.collect import collect_card_facts
from release.export.config import ONNX, PUBLISHED, ExportConfig, no_weights
from release.export.image_encoder import write_image_encoder
from release.export.published_file import read_progress, write_published_file
from release.folder.released_folder import released_folder
from release.folder.whole_folder import earlier_files
from release.folder.write_folder import check_can_be_exported
from taxonomy.errors import BadInputError
from taxonomy.needed import needed
from trainer.checkpoints.checkpoint import damage, step_of

if TYPE_CHECKING:
    from inference.labels.labels import Labels
    from release.export.push import Repository

LABELS_FOLDER = "labels"

_LOG = logging.getLogger(__name__)


def run(config: ExportConfig, labels: "Labels | None", repository: "Repository | None") -> None:
    """Write the folder, say what is in it, and push it if there is a repository for it.

    Args:
        config: says which model, and where to.
        labels: whose embeddings go into the folder too.
        repository: where to push.

    Raises:
        BadInputError: what is named cannot be used; nothing was written.
        WorkFailedError: a file could not be written or does not compute what the model does (nothing is left of the
            folder), or the push failed (the folder is there).
    """
    checkpoint = find_checkpoint(config)
    encoder = config.open_encoder()
    check_can_be_exported(encoder.facts)
    facts = _card_facts(config, encoder, checkpoint)
    before = earlier_files(config.out_dir)
    with released_folder(encoder.model, encoder.facts, facts, config.out_dir) as folder:
        remarks = _fill(folder, config, encoder, checkpoint, labels)
    _say(config.out_dir, facts, remarks, before)
    if repository is not None:
        _push(config.out_dir, repository, facts)


def find_checkpoint(config: ExportConfig) -> Path | None:
    """The file or folder on this machine that the weights are in; None for a tag or the hub.

    Raises:
        BadInputError: the model has no weights, or a checkpoint of ours is damaged.
    """
    choice = config.choice
    origin = find_origin(choice.model, choice.pretrained, None)
    if origin.weights is None and origin.tag_config is None:
        raise BadInputError(no_weights(choice.label))
    named = choice.pretrained or choice.model
    if named.startswith(HUB) or origin.weights is None:
        return None
    path = Path(named.removeprefix(LOCAL))
    path = path.parent if path.name == WEIGHTS_FILE else path
    path = newest_checkpoint(path) or path
    if step_of(path) is not None and (reason := damage(path)):
        raise BadInputError(f"{path} is damaged ({reason}): give an earlier checkpoint")
    return path


def _card_facts(config: ExportConfig, encoder: OpenClipEncoder, checkpoint: Path | None) -> CardFacts:
    results = [Path(folder) for folder in config.results]
    return collect_card_facts(
        encoder.facts,
        encoder.hash,
        config.choice.label,
        checkpoint,
        results,
        Path(config.data) if config.data else None,
        config.license,
    )


def _fill(
    folder: Path, config: ExportConfig, encoder: OpenClipEncoder, checkpoint: Path | None, labels: "Labels | None"
) -> Mapping[str, str]:
    """Write what was asked for beside the model and its card; returns file -> remark."""
    remarks = {}
    if PUBLISHED in config.format:
        name = f"{file_name(config.choice.label)}.pt"
        progress = read_progress(checkpoint)
        write_published_file(folder / name, encoder.model, encoder.facts, progress, config.choice.label)
        remarks[name] = "with its optimizer's state" if progress.optimizer_state else "without an optimizer's state"
    if ONNX in config.format:
        difference = write_image_encoder(encoder.model, encoder.facts, encoder.hash, encoder.logit_scale, folder)
        remarks["image_encoder.onnx"] = f"differs from torch by at most {difference:.0e}"
    if labels is not None:
        remarks[f"{LABELS_FOLDER}/embeddings.npy"] = _write_labels(folder / LABELS_FOLDER, config, encoder, labels)
    return remarks


def file_name(label: str) -> str:
    """A label of people as the name of a file, without the ending of the file that it may come from."""
    stem = re.sub(r"\.(pt|pth|bin|safetensors)$", "", label)
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "model"


def _write_labels(folder: Path, config: ExportConfig, encoder: OpenClipEncoder, labels: "Labels") -> str:
    embeddings = needed("inference.label_embeddings.embed_labels", "taxaflow export", "eval")
    cache = Path(config.cache_dir) if config.cache_dir else None
    made = embeddings.embed_labels(labels, config.prompt_set, encoder, cache, title="labels")
    embeddings.write_label_embeddings(folder, made)
    return f"{len(labels.names):,} labels, prompts {config.prompt_set}, fp16"


def _say(out: Path, facts: CardFacts, remarks: Mapping[str, str], before: Set[str]) -> None:
    """Say what the folder holds, and what it held before and does no more."""
    print(f"{facts.label}, {facts.model.activation}, weights {facts.model_hash[:12]} -> {out}")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        print(f"  {name:<30} {_size(path.stat().st_size):>10}  {remarks.get(name, '')}".rstrip())
    dropped = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in before - earlier_files(out)})
    if dropped:
        print(f"no longer there, as not asked for this time: {', '.join(dropped)}")
    print(f'load it: open_clip.create_model_from_pretrained("{LOCAL}{out}")')


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def _push(out: Path, repository: "Repository", facts: CardFacts) -> None:
    from release.export.push import push

    _LOG.info("uploading %s to %s", out, repository.name)
    commit = push(out, repository, f"{facts.label}, weights {facts.model_hash[:12]}")
    if commit is None:
        print(f"{repository.name} has all of it already: nothing to do")
        return
    print(f"pushed: {commit}")
    if repository.revision is None:  # open_clip loads no other branch than main
        print(f'load it: open_clip.create_model_from_pretrained("{HUB}{repository.name}")')
