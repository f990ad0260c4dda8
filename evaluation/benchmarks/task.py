"""One classification of a benchmark's rows: a class list, and the class of every row, met by name.

Shapes: R rows, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from taxonomy.captions import CaptionFields


@dataclass(frozen=True)
class Task:
    """What one result file is about, without model and protocol.

    Attributes:
        benchmark: its name.
        taxon: the level, or `rollup_<rank>`.
        class_list: "published" or "fixed".
        class_names: distinct, in the order of their first rows.
        class_R: int64, index of each row's class; -1 where its label is missing.
        fields: class name -> its taxon for captions and trees, where the rows agree on one.
        pair_of_R: Confounding alone: per row the indices of the two classes it is a choice between, else empty.
        distinct_R: bool, False for rows that repeat another row's picture and class (Confounding `fixed`), else empty.
    """

    benchmark: str
    taxon: str
    class_list: str
    class_names: tuple[str, ...]
    class_R: np.ndarray
    fields: Mapping[str, CaptionFields] = field(default_factory=dict)
    pair_of_R: Sequence[tuple[int, int]] = ()
    distinct_R: np.ndarray | None = None

    @property
    def num_null_label(self) -> int:
        """Rows without a label."""
        return int((self.class_R < 0).sum())
