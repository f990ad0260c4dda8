"""Pictures and texts to unit embeddings, for any open_clip two-tower model, in training and out of it.

Texts come trimmed to the longest of their batch: behind the end token nothing reaches the embedding, so the rest of
the context is never computed. Of many texts, equal beginnings are computed once.

Shapes: V texts, L tokens, N pictures, H x W pixels, C channels, D embedding.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from evaluation.encoding.preprocess import Preprocess
from evaluation.encoding.shared_prefixes import can_share, encode_tree, tree_of
from evaluation.encoding.tokens import tokenize
from evaluation.loading.facts import ModelFacts

Tokenizer = Callable[[list[str]], torch.Tensor]


def to_input(
    image_NHWC: torch.Tensor,
    facts: ModelFacts | Preprocess,
    device: str | torch.device,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The model's input [N, C, H, W] on the device: pixels / 255, minus mean, over std.

    The bytes travel and the device does the arithmetic: a quarter of the traffic of float pixels.

    Args:
        image_NHWC: uint8, RGB.
        facts: mean and std.
        device: where to.
        dtype: of the result.
    """
    pixel_NHR = image_NHWC.to(device, non_blocking=True).flatten(2).to(dtype)
    width = image_NHWC.shape[2]
    mean_R, std_R = _constants(facts.image_mean, facts.image_std, width, pixel_NHR.device, dtype)
    return pixel_NHR.div_(255).sub_(mean_R).div_(std_R).unflatten(2, (width, -1)).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std for each of the R = width x 3 values of a row of pixels: seven times as fast as three at a time.

    Made on the device once: each copy from the host would wait for the device.
    """
    with torch.inference_mode(False):
        mean_R, std_R = (torch.tensor(one, dtype=dtype, device=device).repeat(width) for one in (mean, std))
    return mean_R, std_R


def encode_image(model: Any, image_NCHW: torch.Tensor) -> torch.Tensor:
    """Unit embeddings [N, D] of normalised pictures, which take the type that the image tower is stored in."""
    return model.encode_image(image_NCHW.to(_input_dtype(model)), normalize=True)


def _input_dtype(model: Any) -> torch.dtype:
    """Type of the first convolution: a tower stored in bf16 takes bf16 pixels, one under autocast fp32."""
    kernels = (parameter.dtype for parameter in model.visual.parameters() if parameter.ndim == 4)
    return next(kernels, torch.float32)


def encode_text(model: Any, token_VL: torch.Tensor) -> torch.Tensor:
    """Unit embeddings [V, D] of texts cut to any length that holds their end tokens.

    Equal to the embeddings of the same texts 0-padded to the full context, within rounding. Towers where that does
    not hold (`can_trim`) get their full context.

    Args:
        model: an open_clip CLIP or CustomTextCLIP.
        token_VL: int32 or int64, 0-padded, L <= context length.
    """
    length = token_VL.shape[1]
    if length > model.context_length:
        raise ValueError(f"texts of {length} tokens; the model's context is {model.context_length}")
    if length == model.context_length or not can_trim(model):
        pad = getattr(_text_tower(model), "pad_id", 0)
        full_VL = F.pad(token_VL, (0, model.context_length - length), value=pad)
        return model.encode_text(full_VL, normalize=True)
    return F.normalize(_trimmed(model, token_VL), dim=-1)


def can_trim(model: Any) -> bool:
    """Whether padding behind the end token cannot reach the embedding: a causal mask, pooled at the end token."""
    tower = _text_tower(model)
    pool = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
    is_causal = getattr(tower, "attn_mask", None) is not None
    return is_causal and pool in ("argmax", "eos") and getattr(tower, "cls_emb", None) is None


def _text_tower(model: Any) -> Any:
    """CustomTextCLIP keeps its text tower as a module, CLIP holds the same parts itself."""
    return getattr(model, "text", model)


def _trimmed(model: Any, token_VL: torch.Tensor) -> torch.Tensor:
    """open_clip's text tower with positions and mask cut to L; embeddings [V, D] of any length."""
    from open_clip.transformer import text_global_pool

    tower = _text_tower(model)
    length = token_VL.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    x_VLW = tower.token_embedding(token_VL).to(dtype) + tower.positional_embedding[:length].to(dtype)
    x_VLW = tower.ln_final(tower.transformer(x_VLW, attn_mask=tower.attn_mask[:length, :length]))
    pool = getattr(tower, "text_pool_type", None) or tower.pool_type
    end = getattr(tower, "text_eos_id", None) or getattr(tower, "eos_id", None)
    return _projected(tower, text_global_pool(x_VLW, token_VL, pool, eos_token_id=end))


def _projected(tower: Any, x_VW: torch.Tensor) -> torch.Tensor:
    projection = tower.text_projection
    if projection is None:
        return x_VW
    return projection(x_VW) if isinstance(projection, torch.nn.Module) else x_VW @ projection


def encode_texts(
    model: Any, tokenizer: Tokenizer, texts: Sequence[str], device: str | torch.device, batch_size: int = 1024
) -> torch.Tensor:
    """Unit embeddings [V, D], float32 on the device, in the order of the texts.

    Equal texts are encoded once. Where the tower allows it, so are equal beginnings; else batches are made of texts of
    like length and trimmed to their longest.
    """
    distinct = list(dict.fromkeys(texts))
    token_VL = tokenize(tokenizer, distinct)
    length_V = used_lengths(token_VL)
    is_shared = can_trim(model) and can_share(_text_tower(model))
    order_V = _alphabetical(token_VL) if is_shared else torch.argsort(length_V, stable=True)
    parts = []
    for index_B in order_V.split(batch_size):
        longest = int(length_V[index_B].max()) if can_trim(model) else token_VL.shape[1]
        token_BL = token_VL[index_B, :longest].to(device)
        length_B = length_V[index_B].to(device)
        made_BD = _branching(model, token_BL, length_B) if is_shared else encode_text(model, token_BL)
        parts.append(made_BD.float())
    sorted_VD = torch.cat(parts)
    embedding_VD = torch.empty_like(sorted_VD)
    embedding_VD[order_V.to(device)] = sorted_VD
    row = {text: index for index, text in enumerate(distinct)}
    return embedding_VD[torch.tensor([row[text] for text in texts], device=device)]


def _alphabetical(token_VL: torch.Tensor) -> torch.Tensor:
    """Order [V] of the texts by their tokens: those that begin alike stand together."""
    return torch.from_numpy(np.lexsort(token_VL.cpu().numpy().T[::-1]))


def _branching(model: Any, token_VL: torch.Tensor, length_V: torch.Tensor) -> torch.Tensor:
    """Unit embeddings [V, D], as encode_text makes them."""
    tower = _text_tower(model)
    return F.normalize(_projected(tower, encode_tree(tower, tree_of(token_VL, length_V))), dim=-1)


def used_lengths(token_VL: torch.Tensor) -> torch.Tensor:
    """Number of tokens [V] of each 0-padded text, its end token included."""
    position_L = torch.arange(1, token_VL.shape[1] + 1, device=token_VL.device)
    return ((token_VL != 0) * position_L).amax(dim=1)
