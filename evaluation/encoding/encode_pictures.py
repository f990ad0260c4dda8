"""The pictures of a benchmark -> embeddings, once for all its tasks, by all ranks, kept for later runs.

Rank r takes pictures r::W. Ranks meet after their loops only, where each picture's embedding is the sum of one
rank's and zeros: exact, whatever the number of ranks.

Shapes: N pictures with a file, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evaluation.benchmarks.benchmark import Rows
from evaluation.distributed import ALONE, Share
from evaluation.encoding.encoder import Encoder
from evaluation.encoding.feature_cache import CachedFeatures, Unreadable, features_key, read_features, write_features
from evaluation.encoding.features import Features
from evaluation.encoding.forward_passes import encode_in_passes
from evaluation.encoding.picture_batches import Source, picture_batches
from evaluation.encoding.picture_progress import counted

_REASON_BYTES = 160
"""Length of a reason in the tensor that tells it to the other ranks."""


@dataclass(frozen=True)
class EncodeOptions:
    """How pictures are worked off; nothing of it changes the embeddings by more than rounding.

    Attributes:
        batch_size: pictures of one forward pass; on the CPU of several small ones.
        num_workers: processes that decode; 0: threads of this one.
        cache_dir: of the whole run; embeddings lie in `features/` of it. None keeps nothing.
        worker_init: called in each worker process with its number.
    """

    batch_size: int = 64
    num_workers: int = 0
    cache_dir: Path | None = None
    worker_init: Callable[[int], None] | None = None


def image_features(
    rows: Rows,
    encoder: Encoder,
    options: EncodeOptions | None = None,
    share: Share = ALONE,
    progress: str | None = "pictures",
) -> Features:
    """Embeddings of every readable picture, the same bytes on every rank.

    Args:
        rows: with a source for every picture that was found.
        encoder: its model in evaluation mode.
        options: how.
        share: this rank's part.
        progress: title of the bar that rank 0 shows on a terminal; None shows none.

    Raises:
        TaxaflowError: a reader failed altogether, as one whose shard is lost, or a file could not be read just now.
    """
    options = options or EncodeOptions()
    is_there_R = _is_there(rows, share)
    row_N = np.flatnonzero(is_there_R)
    kept = _cached_or_encoded(rows, row_N, encoder, options, share, progress)
    is_readable_N = np.ones(len(row_N), bool)
    is_readable_N[[number for number, _ in kept.unreadable]] = False
    return Features(
        kept.image_ND,
        row_N[is_readable_N],
        np.flatnonzero(~is_there_R).tolist(),
        [(int(row_N[number]), reason) for number, reason in kept.unreadable],
    )


def _is_there(rows: Rows, share: Share) -> np.ndarray:
    """bool, whether every rank finds the row's file; a reader's is always there."""
    is_there = [source is not None and (not isinstance(source, Path) or source.is_file()) for source in rows.sources]
    return share.sum_over_ranks(torch.tensor(is_there, dtype=torch.int64)).numpy() == share.size


def _cached_or_encoded(
    rows: Rows, row_N: np.ndarray, encoder: Encoder, options: EncodeOptions, share: Share, progress: str | None
) -> CachedFeatures:
    """From the cache if every rank reads it there, else encoded and, by rank 0, written."""
    sources = [source for row in row_N if (source := rows.sources[row]) is not None]
    cache_dir, key = options.cache_dir, ""
    if cache_dir is not None:
        facts = [encoder.hash, encoder.variant]
        key = features_key(facts, encoder.preprocess, [rows.keys[int(row)] for row in row_N], sources)
        found = read_features(cache_dir, key)
        if int(share.sum_over_ranks(torch.tensor(int(found is not None)))) == share.size and found is not None:
            return found
    made = _encode_all(sources, encoder, options, share, progress)
    if cache_dir is not None and share.rank == 0:
        write_features(cache_dir, key, made)
    return made


def _encode_all(
    sources: list[Source], encoder: Encoder, options: EncodeOptions, share: Share, progress: str | None
) -> CachedFeatures:
    """Every rank's part, put together."""
    numbers = range(len(sources))[share.rank :: share.size]
    batches = picture_batches(
        sources, numbers, encoder.preprocess, options.batch_size, options.num_workers, options.worker_init
    )
    image_ND, unreadable = None, []
    for batch in counted(batches, len(numbers), progress if share.rank == 0 else None):
        unreadable += batch.unreadable
        if batch.index_N:
            batch_ND = encode_in_passes(encoder, batch.image_NSSC)
            if image_ND is None:
                image_ND = torch.zeros(len(sources), batch_ND.shape[1])
            image_ND[torch.tensor(batch.index_N)] = batch_ND
    if image_ND is None:  # a rank without a readable picture asks for the width in another way
        image_ND = torch.zeros(len(sources), encoder.encode_texts(["a"]).shape[1])
    return _gather(image_ND, unreadable, share)


def _gather(image_ND: torch.Tensor, unreadable: Unreadable, share: Share) -> CachedFeatures:
    whole_ND = share.sum_over_ranks(image_ND).numpy()
    all_unreadable = _gather_unreadable(unreadable, len(whole_ND), share)
    is_readable_N = np.ones(len(whole_ND), bool)
    is_readable_N[[number for number, _ in all_unreadable]] = False
    return CachedFeatures(whole_ND[is_readable_N] if all_unreadable else whole_ND, all_unreadable)


def _gather_unreadable(own: Unreadable, num: int, share: Share) -> Unreadable:
    """What every rank could not read, by number; reasons travel as bytes, cut to a length."""
    flag_N = torch.zeros(num, dtype=torch.int64)
    flag_N[[number for number, _ in own]] = 1
    numbers = share.sum_over_ranks(flag_N).nonzero()[:, 0].tolist()
    byte_UB = np.zeros((len(numbers), _REASON_BYTES), np.int64)
    place = {number: at for at, number in enumerate(numbers)}
    for number, reason in own:
        text = reason.encode()[:_REASON_BYTES]
        byte_UB[place[number], : len(text)] = np.frombuffer(text, np.uint8)
    byte_UB = share.sum_over_ranks(torch.from_numpy(byte_UB)).numpy().astype(np.uint8)
    texts = [row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in byte_UB]
    return list(zip(numbers, texts, strict=True))
