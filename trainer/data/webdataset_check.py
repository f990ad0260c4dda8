"""What can be told of tar shards before a run begins: whether a step finds pairs enough, and captions of its kinds.

Loader workers meet the samples one by one, when a run has long begun; they would look for a good one for a long time.
"""

from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice

from taxonomy.errors import BadInputError
from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings
from trainer.data.caption_choice import CaptionPolicy
from trainer.data.webdataset_order import RawSample
from trainer.data.webdataset_pairs import pair_of
from trainer.data.webdataset_shard import read_shard

CHECKED_SAMPLES = 256


def check_step(settings: DataSettings, num_samples: int, num_ranks: int) -> None:
    """See that one step does not take a pair twice.

    Raises:
        BadInputError: the set is smaller than a step.
    """
    each, accum_freq = settings.batch_size, settings.accum_freq
    step_size = each * accum_freq * num_ranks
    if step_size > num_samples:
        raise BadInputError(
            f"--batch-size {each}: one step takes {step_size:,} pairs ({each} x {accum_freq} x {num_ranks} ranks), "
            f"the shards have {num_samples:,}; use a smaller batch, or more shards"
        )


def check_first_samples(settings: DataSettings, shard: str) -> None:
    """See that a shard's first samples make pairs, of every kind that a step can ask for; reads no further than needed.

    Raises:
        BadInputError: none does, or one lacks the taxon that the loss needs.
        WorkFailedError: the shard cannot be read.
    """
    policy = settings.caption
    wanted: set[str | None] = set(policy.kinds) if policy.one_kind_per_batch else {None}
    seen: set[str] = set()
    num_samples = 0
    with closing(read_shard(shard)) as samples:  # pyright: ignore[reportArgumentType]  # a generator
        for place, members in enumerate(islice(samples, CHECKED_SAMPLES)):
            sample = RawSample(members, shard, 0, place, place, 0)
            num_samples += 1
            wanted -= {kind for kind in wanted if _makes_pair(sample, settings, kind, seen)}
            if not wanted:
                return
    if num_samples:
        kinds = ", ".join(sorted(kind for kind in wanted if kind)) or ", ".join(policy.kinds)
        found = ", ".join(sorted(seen)) or "none"
        raise BadInputError(
            f"--text_type: none of the first {num_samples} samples of {shard} has a picture and a caption of kind "
            f"{kinds}; found: {found}"
        )


def _makes_pair(sample: RawSample, settings: DataSettings, kind: str | None, seen: set[str]) -> bool:
    try:
        pair_of(sample, settings, kind)
        return True
    except BadSample as bad:
        reason = bad.reason
    with suppress(BadSample):  # it may have captions of other kinds
        reason = pair_of(sample, replace(settings, caption=CaptionPolicy.every_kind()), None).kind
    seen.add(reason)
    return False
