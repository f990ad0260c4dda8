"""How far off in the tree of life the wrong guesses are.

Shapes: N pictures, B draws, C classes, M parts of the figures, P distinct rows of parts, L levels of the tree: the
seven ranks, and the class itself below them.

Sources: Kiritchenko, Matwin and Famili 2005, Functional Annotation of Genes Using Hierarchical Text Categorization;
Silla and Freitas 2011, A survey of hierarchical classification across different application domains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.bootstrap import DRAWS, bootstrap, sums_by_group
from evaluation.metrics.intervals import Metric
from taxonomy.ranks import RANKS

Lineage = Sequence[str | None] | None
"""Names from kingdom to species, None where unknown; None for a class whose place is not known at all."""


@dataclass(frozen=True)
class Tree:
    """Where every class stands.

    Attributes:
        node_CL: int64, the class's node at each level, -1 where it has none. A node is known by its whole path, so
            one name in two branches makes two nodes. The last level holds the class itself where its lowest rank is
            also that of another class (two subspecies of a species) or where no rank is known; else -1.
        depth_C: int64, level of the lowest node, counted from 1. A class without a known rank stands at species.
    """

    node_CL: np.ndarray
    depth_C: np.ndarray


def tree_of(lineages: Sequence[Lineage]) -> Tree:
    """The tree of the classes.

    Args:
        lineages: one per class, seven names each.
    """
    path_ids: dict[tuple[str | None, ...], int] = {}
    node_CL = np.full((len(lineages), len(RANKS) + 1), -1, np.int64)
    for number, lineage in enumerate(lineages):
        for level, name in enumerate(lineage or ()):
            if name is not None:
                path = tuple(lineage or ())[: level + 1]
                node_CL[number, level] = path_ids.setdefault(path, len(path_ids))
    depth_C = (np.arange(1, len(RANKS) + 2) * (node_CL >= 0)).max(1, initial=0)
    lowest_C = node_CL[np.arange(len(lineages)), depth_C - 1]
    _, group_C, size_G = np.unique(lowest_C, return_inverse=True, return_counts=True)
    is_leaf_added_C = (size_G[group_C] > 1) | (depth_C == 0)
    node_CL[is_leaf_added_C, -1] = len(path_ids) + np.flatnonzero(is_leaf_added_C)
    depth_C = np.where(depth_C == 0, len(RANKS), depth_C + is_leaf_added_C)
    return Tree(node_CL, depth_C)


def distances(class_N: np.ndarray, guess_N: np.ndarray, tree: Tree) -> np.ndarray:
    """int64 [N], ranks from the lower of the two classes up to their lowest common ancestor; 0 only for one class.

    Species of one genus are 1 apart, of one kingdom 6, of none in common 7; unknown ranks in between count.
    """
    is_common_NL = _is_common(class_N, guess_N, tree)
    common_N = (np.arange(1, is_common_NL.shape[1] + 1) * is_common_NL).max(1, initial=0)
    apart_N = np.maximum(tree.depth_C[class_N], tree.depth_C[guess_N]) - common_N
    return np.where(class_N == guess_N, 0, apart_N)


def hierarchical_metrics(
    class_N: np.ndarray, guess_N: np.ndarray, lineages: Sequence[Lineage], draws: int = DRAWS, seed: int = 0
) -> dict[str, Metric] | None:
    """hierarchical_precision, hierarchical_recall, hierarchical_f and lca_distance; None without pictures or lineages.

    The first three compare the sets of a class and its ancestors, without the root, summed over all pictures: what of
    the guessed ones is true, what of the true ones was guessed, and the harmonic mean. The last is the mean of
    `distances`.

    Args:
        class_N: int64, the right class.
        guess_N: int64, the first guess.
        lineages: one per class.
        draws: of the intervals.
        seed: of the draws.
    """
    if len(class_N) == 0 or not any(any(lineage or ()) for lineage in lineages):
        return None
    tree = tree_of(lineages)
    size_C = (tree.node_CL >= 0).sum(1)
    overlap_N = _is_common(class_N, guess_N, tree).sum(1)
    part_NM = np.stack([overlap_N, size_C[guess_N], size_C[class_N], distances(class_N, guess_N, tree)], 1)

    part_PM, pattern_N = np.unique(part_NM, axis=0, return_inverse=True)  # few, so that draws are counted, not added

    def figures(index_BN: np.ndarray) -> np.ndarray:
        overlap_B, guessed_B, true_B, distance_B = (sums_by_group(pattern_N[index_BN], len(part_PM)) @ part_PM).T
        f_B = 2 * overlap_B / (guessed_B + true_B)
        return np.stack([overlap_B / guessed_B, overlap_B / true_B, f_B, distance_B / len(class_N)], 1)

    names = ("hierarchical_precision", "hierarchical_recall", "hierarchical_f", "lca_distance")
    return dict(zip(names, bootstrap(figures, class_N, draws, seed), strict=True))


def _is_common(class_N: np.ndarray, guess_N: np.ndarray, tree: Tree) -> np.ndarray:
    """The levels at which both classes have the same node: bool [N, L]."""
    true_NL = tree.node_CL[class_N]
    return (true_NL == tree.node_CL[guess_N]) & (true_NL >= 0)
