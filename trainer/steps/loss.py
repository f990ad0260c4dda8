"""The three contrastive losses, over the pairs of all ranks.

Each returns this rank's loss L_r; the mean over ranks is the loss, and the mean over ranks of the parameters'
gradients is its gradient (with gather-with-grad; without it see `infonce`). Features are unit rows. Logits and losses
are fp32, or fp64 if the features are, whatever autocast and TF32 say: at a scale of 100 the rounding of bf16 logits
shows in the loss and in the features' gradients.

Nothing here makes the host wait for the device.

Shapes: W ranks, B pairs of this rank, N = W B pairs in the loss, D embedding, V distinct texts of this rank, E = W B
entries for the texts of all ranks (V each, filled up to B with entries of count 0).
"""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from taxonomy.errors import BadInputError
from trainer.distributed import Ranks, gather, gather_with_grad
from trainer.steps.distinct_texts import DistinctTexts

LOSSES = ("infonce", "multi_positive", "siglip")

MAX_SCALE = 100.0
"""Largest scale of the logits. Source: Radford et al. 2021, Learning Transferable Visual Models, section 2.5."""

log = logging.getLogger(__name__)


def check_loss(
    loss: str, local_loss: bool, gather_with_grad: bool, ranks: Ranks, logit_bias: torch.Tensor | None
) -> None:
    """Refuse a choice that cannot train; say on rank 0, once, what a choice does that its flags do not tell.

    Raises:
        BadInputError: the loss is unknown, or its flags or its model do not fit it.
    """
    if loss not in LOSSES:
        raise BadInputError(f"--loss {loss}: unknown; allowed: {', '.join(LOSSES)}")
    if loss == "multi_positive" and ranks.size > 1 and not gather_with_grad:
        raise BadInputError(
            f"--loss multi_positive on {ranks.size} ranks needs the gradients of all: add --gather-with-grad"
        )
    if loss == "siglip" and logit_bias is None:
        raise BadInputError("--loss siglip needs a model with a logit bias: set init_logit_bias in the model's config")
    if not ranks.is_first:
        return
    if loss == "infonce" and ranks.size > 1 and not gather_with_grad:
        _warn_once(
            f"--loss infonce without --gather-with-grad on {ranks.size} ranks: gradients are as published, that is "
            f"those through the features are 1/{ranks.size} of the loss's"
            + (" and biased by --local-loss" if local_loss else "")
        )
    if loss == "siglip" and (local_loss or gather_with_grad):
        _warn_once("--loss siglip ignores --local-loss and --gather-with-grad: it always is local, with all gradients")


def scale_of(logit_scale: torch.Tensor) -> torch.Tensor:
    """exp(logit_scale), at most MAX_SCALE.

    The cap has the gradient of exp: exp(fp32(log 100)) is one rounding above 100, and a parameter that has reached
    the cap would never come down again.
    """
    scale = _wide(logit_scale).exp()
    return scale - (scale - MAX_SCALE).clamp(min=0).detach()


def infonce(
    image_BD: torch.Tensor,
    text_BD: torch.Tensor,
    scale: torch.Tensor,
    ranks: Ranks,
    local_loss: bool = False,
    gather_with_grad: bool = False,
) -> torch.Tensor:
    """Cross-entropy of every image over all texts and every text over all images, equal to open_clip's ClipLoss.

    Without `gather_with_grad` on several ranks the features of other ranks count as constants, as published: features
    get 1/W of their gradient, and with `local_loss` not even its direction.

    Args:
        image_BD: unit rows.
        text_BD: unit rows, the text of every image.
        scale: 0-D, what the cosines are multiplied with.
        ranks: all with the same B.
        local_loss: this rank's rows against all, in place of all against all on every rank.
        gather_with_grad: whether gradients flow to the features of other ranks.
    """
    with _full_precision(image_BD):
        image_BD, text_BD, scale = _wide(image_BD), _wide(text_BD), _wide(scale)
        image_ND, text_ND = _gather_pairs(image_BD, text_BD, ranks, gather_with_grad, keep_own=not local_loss)
        if local_loss or ranks.size == 1:
            first = ranks.rank * image_BD.shape[0]
            image_logits, text_logits = scale * image_BD @ text_ND.T, scale * text_BD @ image_ND.T
        else:
            first = 0
            image_logits = scale * image_ND @ text_ND.T
            text_logits = image_logits.T
        label = torch.arange(first, first + image_logits.shape[0], device=image_logits.device)
        return (F.cross_entropy(image_logits, label) + F.cross_entropy(text_logits, label)) / 2


def siglip(
    image_BD: torch.Tensor, text_BD: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, ranks: Ranks
) -> torch.Tensor:
    """Every pair of an image and a text judged alone, equal to open_clip's SigLipLoss; only a pair itself is positive.

    Args:
        image_BD: unit rows.
        text_BD: unit rows, the text of every image.
        scale: 0-D, what the cosines are multiplied with.
        bias: 0-D, added to every logit.
        ranks: all with the same B.

    Source: Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training.
    """
    with _full_precision(image_BD):
        image_BD, text_ND = _wide(image_BD), gather_with_grad(_wide(text_BD), ranks)
        logits_BN = _wide(scale) * image_BD @ text_ND.T + _wide(bias)
        num_pairs = image_BD.shape[0]
        sign_BN = torch.full_like(logits_BN, -1)
        sign_BN.diagonal(ranks.rank * num_pairs).fill_(1)
        return -F.logsigmoid(sign_BN * logits_BN).sum() / num_pairs


def multi_positive(
    image_BD: torch.Tensor,
    texts: DistinctTexts,
    text_VD: torch.Tensor,
    taxon_B: torch.Tensor,
    scale: torch.Tensor,
    ranks: Ranks,
) -> torch.Tensor:
    """Cross-entropy against targets spread evenly over the pairs of the same taxon, whatever their captions.

    Equal to UniCL's loss over all pairs, with each text encoded and scored once and weighed by its count:

        L_r = 1/2B [ sum_i ( log sum_v m_v exp(s x_i z_v) - s x_i t_mean(i) - s t_i x_mean(i) )
                     + sum_{v of this rank} m_v log sum_k exp(s x_k z_v) ]

    x images, z texts with m pairs each, t_i the text of pair i, t_mean(i) and x_mean(i) the means over all pairs of
    the taxon of i. The two last terms are the targets: no N x N matrix of them is made. A text that pairs of several
    taxa have (a shared common name) so has its target split by its counts.

    Args:
        image_BD: unit rows.
        texts: the distinct texts of this rank's B pairs, on the device.
        text_VD: unit rows, the embeddings of `texts.token_VL`.
        taxon_B: int64, what decides who are positives.
        scale: 0-D, what the cosines are multiplied with.
        ranks: all with the same B; V may differ.

    Source: Yang et al. 2022, Unified Contrastive Learning in Image-Text-Label Space, equations 3 to 5.
    """
    with _full_precision(image_BD):
        image_BD, text_VD, scale = _wide(image_BD), _wide(text_VD), _wide(scale)
        num_pairs, num_texts = image_BD.shape[0], text_VD.shape[0]
        missing = num_pairs - num_texts
        image_ND, text_ED = _gather_pairs(image_BD, F.pad(text_VD, (0, 0, 0, missing)), ranks, with_grad=True)
        taxon_N, entry_N, count_E = _gather_whole_numbers(taxon_B, texts, missing, ranks)
        own = slice(ranks.rank * num_pairs, (ranks.rank + 1) * num_pairs)

        image_logits_BE = scale * image_BD @ text_ED.T + count_E.to(image_BD.dtype).log()  # log 0 takes a filler out
        text_logits_VN = scale * text_VD @ image_ND.T
        image_mean_ND, text_mean_ND = _means_by_taxon(image_ND, text_ED[entry_N], taxon_N)
        text_BD = text_VD[texts.inverse_N]
        positives = (image_BD * text_mean_ND[own]).sum() + (text_BD * image_mean_ND[own]).sum()
        normalisers = image_logits_BE.logsumexp(1).sum() + (texts.count_V * text_logits_VN.logsumexp(1)).sum()
        return (normalisers - scale * positives) / (2 * num_pairs)


def _gather_pairs(
    image_BD: torch.Tensor, text_BD: torch.Tensor, ranks: Ranks, with_grad: bool, keep_own: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """(images, texts) of all ranks by one collective; `keep_own`: without `with_grad`, this rank's keep theirs."""
    if ranks.size == 1:
        return image_BD, text_BD
    both = torch.cat([image_BD, text_BD], dim=1)
    rows = gather_with_grad(both, ranks) if with_grad else gather(both, ranks)
    if keep_own and not with_grad:
        parts = list(rows.split(both.shape[0]))
        parts[ranks.rank] = both
        rows = torch.cat(parts)
    image_ND, text_ND = rows.split(image_BD.shape[1], dim=1)
    return image_ND, text_ND


def _gather_whole_numbers(
    taxon_B: torch.Tensor, texts: DistinctTexts, missing: int, ranks: Ranks
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(taxon of every pair, its entry among the texts of all ranks, the count of every entry), all int64 [N]."""
    num_pairs = taxon_B.shape[0]
    entry_B = texts.inverse_N + ranks.rank * num_pairs
    rows = gather(torch.stack([taxon_B, entry_B, F.pad(texts.count_V, (0, missing))], dim=1), ranks)
    taxon_N, entry_N, count_E = rows.unbind(1)
    return taxon_N, entry_N, count_E


def _means_by_taxon(
    image_ND: torch.Tensor, text_ND: torch.Tensor, taxon_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """For every pair, the means of (images, texts) over the pairs of its taxon."""
    taxon_N = taxon_N.contiguous()
    group_N = torch.searchsorted(taxon_N.sort().values, taxon_N)  # one number below N a taxon, no size to wait for
    both = torch.cat([image_ND, text_ND], dim=1)
    sums = torch.zeros_like(both).index_add(0, group_N, both)
    sizes = torch.zeros_like(both[:, :1]).index_add(0, group_N, torch.ones_like(both[:, :1]))
    image_mean_ND, text_mean_ND = (sums[group_N] / sizes[group_N]).split(image_ND.shape[1], dim=1)
    return image_mean_ND, text_mean_ND


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in fp32, or in fp64 if it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@contextmanager
def _full_precision(tensor: torch.Tensor) -> Iterator[None]:
    """Without autocast on the tensor's device, and without TF32, whose switch is read when a product is launched."""
    tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(tensor.device.type, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = tf32


@functools.cache
def _warn_once(message: str) -> None:
    log.warning(message)
