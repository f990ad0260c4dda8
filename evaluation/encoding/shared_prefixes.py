"""Many texts with like beginnings -> embeddings, every beginning computed once.

In a causal text tower a token's state depends on the tokens before it and on nothing else, so texts that begin alike
share states: "a photo of a Turdus m" is the same for every thrush. The texts are laid out as a tree of tokens. Its
nodes go through the linear layers, nearly all of the work, once each; only attention takes the texts one by one. The
numbers are those of the texts alone, within rounding.

Shapes: V texts, L tokens, M nodes, W width, H heads, E width of a head.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class TokenTree:
    """The distinct beginnings of some texts.

    Attributes:
        token_M: int64, the last token of each beginning.
        depth_M: int64, the number of tokens before it.
        text_M: int64, a text that begins so.
        path_VL: int64, the nodes of each text, from its first token to its last; 0 behind.
        length_V: int64, tokens of each text.
    """

    token_M: torch.Tensor
    depth_M: torch.Tensor
    text_M: torch.Tensor
    path_VL: torch.Tensor
    length_V: torch.Tensor


def can_share(tower: Any) -> bool:
    """Whether every layer of a causal text tower is open_clip's plain block, whose steps `encode_tree` takes."""
    from open_clip.transformer import ResidualAttentionBlock

    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None) or ()
    return len(blocks) > 0 and all(
        type(block) is ResidualAttentionBlock
        and not hasattr(block, "ln_1_kv")
        and block.attn.in_proj_weight is not None
        for block in blocks
    )


def tree_of(token_VL: torch.Tensor, length_V: torch.Tensor) -> TokenTree:
    """The tree of texts of these lengths, on their device; small where texts that begin alike are neighbours.

    Args:
        token_VL: int64.
        length_V: int64, tokens of each text, 1 to L.
    """
    column_L = torch.arange(token_VL.shape[1], device=token_VL.device)
    is_used_VL = column_L < length_V[:, None]
    # -1 behind the end: a text that ends is no beginning of one that goes on with token 0
    token_VL = token_VL.where(is_used_VL, -1)
    is_same_VL = torch.zeros_like(is_used_VL)
    is_same_VL[1:] = (token_VL[1:] == token_VL[:-1]).cumprod(1).bool()
    is_new_VL = is_used_VL & ~is_same_VL
    number_VL = is_new_VL.flatten().cumsum(0).view_as(token_VL) - 1
    # a beginning that is not new is that of the text above
    path_VL = number_VL.where(is_new_VL, -1).cummax(0).values.where(is_used_VL, 0)
    text_M, depth_M = is_new_VL.nonzero().T
    return TokenTree(token_VL[text_M, depth_M], depth_M, text_M, path_VL, length_V)


def encode_tree(tower: Any, tree: TokenTree) -> torch.Tensor:
    """States [V, W] of the texts' last tokens behind the tower's last norm.

    Args:
        tower: of which `can_share` holds.
        tree: on its device.
    """
    dtype = tower.transformer.get_cast_dtype()
    x_MW = tower.token_embedding(tree.token_M).to(dtype) + tower.positional_embedding[tree.depth_M].to(dtype)
    *blocks, last = tower.transformer.resblocks
    for block in blocks:
        seen_MW = _seen(block, x_MW, tree)[tree.text_M, tree.depth_M]
        x_MW = _after(block, x_MW, seen_MW)
    # behind the last look at other tokens, only the ends of the texts matter
    text_V = torch.arange(len(tree.path_VL), device=x_MW.device)
    end_V = tree.length_V - 1
    return tower.ln_final(_after(last, x_MW[tree.path_VL[text_V, end_V]], _seen(last, x_MW, tree)[text_V, end_V]))


def _seen(block: Any, x_MW: torch.Tensor, tree: TokenTree) -> torch.Tensor:
    """What each token of each text sees of those before it, [V, L, W]."""
    attention = block.attn
    qkv_MW = F.linear(block.ln_1(x_MW), attention.in_proj_weight, attention.in_proj_bias)
    qkv_VLHE = (part.unflatten(-1, (attention.num_heads, -1)) for part in qkv_MW[tree.path_VL].chunk(3, -1))
    query_VHLE, key_VHLE, value_VHLE = (part.transpose(1, 2) for part in qkv_VLHE)
    seen_VHLE = F.scaled_dot_product_attention(query_VHLE, key_VHLE, value_VHLE, is_causal=True)
    return seen_VHLE.transpose(1, 2).flatten(2)


def _after(block: Any, x_XW: torch.Tensor, seen_XW: torch.Tensor) -> torch.Tensor:
    """Some tokens behind the block, from what they saw."""
    projection = block.attn.out_proj
    x_XW = x_XW + block.ls_1(F.linear(seen_XW, projection.weight, projection.bias))
    return x_XW + block.ls_2(block.mlp(block.ln_2(x_XW)))
