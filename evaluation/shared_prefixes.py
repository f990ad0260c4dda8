"""Many texts with like beginnings -> embeddings, every beginning computed once.

In a causal text tower a token's state depends on the tokens before it and on nothing else, so texts that begin alike
share states: "a photo of a Turdus m" is the same for every thrush. The texts are laid out as a tree of tokens whose
nodes all go through a layer together, each attending to its ancestors: the same numbers as text by text, within
rounding, for a fraction of the work.

Shapes: V texts, L tokens, M nodes, B nodes of a block, W width, H heads, E width of a head, D embedding.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

_NODES_AT_ONCE = 1024
"""Whose ancestors' keys and values are gathered together: bounds memory to about 100 MB a layer."""


@dataclass(frozen=True)
class TokenTree:
    """The distinct beginnings of some texts, by rising length.

    Attributes:
        token_M: int64, the last token of each beginning.
        depth_M: int64, ascending, the number of tokens before it.
        path_ML: int64, the nodes of its beginning, from the first token to itself; 0 behind.
        leaf_V: int64, the node that is the whole text.
    """

    token_M: torch.Tensor
    depth_M: torch.Tensor
    path_ML: torch.Tensor
    leaf_V: torch.Tensor


def can_share(tower: Any) -> bool:
    """Whether every layer of a causal text tower is open_clip's plain block, whose steps `encode_tree` takes."""
    from open_clip.transformer import ResidualAttentionBlock

    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    return blocks is not None and all(
        type(block) is ResidualAttentionBlock
        and not hasattr(block, "ln_1_kv")
        and block.attn.in_proj_weight is not None
        for block in blocks
    )


def tree_of(token_VL: torch.Tensor, length_V: torch.Tensor) -> TokenTree:
    """The tree of texts of these lengths; on their device.

    Args:
        token_VL: int64.
        length_V: int64, tokens of each text, 1 to L.
    """
    num_texts, length = token_VL.shape
    column_L = torch.arange(length, device=token_VL.device)
    is_used_VL = column_L < length_V[:, None]
    # -1 behind the end: a text that ends is no beginning of a longer one with token 0 there
    sorted_VL, row_V = torch.unique(token_VL.where(is_used_VL, -1), dim=0, return_inverse=True)
    is_same_VL = torch.zeros_like(sorted_VL, dtype=torch.bool)
    is_same_VL[1:] = (sorted_VL[1:] == sorted_VL[:-1]).cumprod(1).bool()
    is_new_VL = ~is_same_VL & (sorted_VL >= 0)
    # column by column, so that nodes come by rising depth
    number_VL = is_new_VL.T.flatten().cumsum(0).view(length, -1).T - 1
    node_VL = number_VL.where(is_new_VL, -1).cummax(0).values
    depth_M, text_M = is_new_VL.T.nonzero().T
    path_ML = node_VL[text_M].where(column_L <= depth_M[:, None], 0)
    return TokenTree(sorted_VL[text_M, depth_M], depth_M, path_ML, node_VL[row_V, length_V - 1])


def encode_tree(tower: Any, tree: TokenTree) -> torch.Tensor:
    """States [V, W] of the texts' last tokens behind the tower's last norm.

    Args:
        tower: of which `can_share` holds.
        tree: on its device.
    """
    dtype = tower.transformer.get_cast_dtype()
    x_MW = tower.token_embedding(tree.token_M).to(dtype) + tower.positional_embedding[tree.depth_M].to(dtype)
    for block in tower.transformer.resblocks:
        x_MW = x_MW + block.ls_1(_attend(block.attn, block.ln_1(x_MW), tree))
        x_MW = x_MW + block.ls_2(block.mlp(block.ln_2(x_MW)))
    return tower.ln_final(x_MW[tree.leaf_V])


def _attend(attention: Any, x_MW: torch.Tensor, tree: TokenTree) -> torch.Tensor:
    """Every node's look at its beginning; [M, W]."""
    heads = attention.num_heads
    query_MW, key_MW, value_MW = F.linear(x_MW, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
    parts = []
    for start in range(0, len(x_MW), _NODES_AT_ONCE):
        depth_B = tree.depth_M[start : start + _NODES_AT_ONCE]
        longest = int(depth_B[-1]) + 1
        path_BL = tree.path_ML[start : start + _NODES_AT_ONCE, :longest]
        query_BH1E = query_MW[start : start + _NODES_AT_ONCE].unflatten(-1, (heads, 1, -1))
        key_BHLE, value_BHLE = (own[path_BL].unflatten(-1, (heads, -1)).transpose(1, 2) for own in (key_MW, value_MW))
        is_before_BL = torch.arange(longest, device=depth_B.device) <= depth_B[:, None]
        seen_BH1E = F.scaled_dot_product_attention(query_BH1E, key_BHLE, value_BHLE, is_before_BL[:, None, None])
        parts.append(seen_BH1E.flatten(1))
    return F.linear(torch.cat(parts), attention.out_proj.weight, attention.out_proj.bias)
