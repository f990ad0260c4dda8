"""iNaturalist's taxa table for a species pool: a tree with the ranks between the seven, and what lies below species."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bench.scatter import Ints, Permutation, below, salt_of
from bench.species_pool import RANKS, SpeciesPool

RANK_LEVELS = {
    "stateofmatter": 100,
    "kingdom": 70,
    "phylum": 60,
    "subphylum": 57,
    "class": 50,
    "order": 40,
    "suborder": 37,
    "family": 30,
    "subfamily": 27,
    "tribe": 25,
    "genus": 20,
    "hybrid": 10,
    "species": 10,
    "subspecies": 5,
}
"""Source: iNaturalist Open Data, Metadata/structure.sql."""
ROOT = ("stateofmatter", "Life")
SEPARATOR = "/"
HYBRID_SIGN = "\u00d7"
NUM_IDS = 1 << 22
FORMS = ("subspecies", "inactive", "hybrid")
"""Taxa that hang on every tenth species, beside its own."""
Node = tuple[str, str]


@dataclass
class TaxonTree:
    """All taxa, a node each; parents come before their children."""

    pool: SpeciesPool
    seed: int
    parent: list[int] = field(default_factory=list)
    node: list[Node] = field(default_factory=list)
    active: list[bool] = field(default_factory=list)
    places: dict[str, Ints] = field(default_factory=dict)
    """Per pool species the node of its species, genus and family, and the nearest node of each of FORMS."""

    @property
    def ids(self) -> Ints:
        """taxon_id per node, in no order."""
        return Permutation(NUM_IDS, salt_of(self.seed, "taxon id"))(np.arange(len(self.node))) + 1

    def columns(self) -> dict[str, pa.Array]:
        """The columns of taxa.csv as text."""
        ids = [str(number) for number in self.ids]
        ancestry: list[str] = []
        for parent in self.parent:
            above = ancestry[parent] if parent >= 0 else ""
            ancestry.append(f"{above}{SEPARATOR if above else ''}{ids[parent]}" if parent >= 0 else "")
        return {
            "taxon_id": pa.array(ids),
            "ancestry": pa.array(ancestry),
            "rank_level": pa.array([str(RANK_LEVELS[rank]) for rank, _ in self.node]),
            "rank": pa.array([rank for rank, _ in self.node]),
            "name": pa.array([name for _, name in self.node]),
            "active": pa.array(["true" if active else "false" for active in self.active]),
        }

    def truth(self) -> pa.Table:
        """Per node what an ingest must find: taxon_id, scientific_name, taxon_rank and the seven ranks."""
        ranks: list[dict[str, str | None]] = []
        for parent, (rank, name) in zip(self.parent, self.node, strict=True):
            known: dict[str, str | None] = dict(ranks[parent]) if parent >= 0 else {one: None for one in RANKS}
            if rank in RANKS:
                known[rank] = name.partition(" ")[2] if rank == "species" else name
            ranks.append(known)
        deepest = [next((rank for rank in reversed(RANKS) if known[rank]), None) for known in ranks]
        columns: dict[str, pa.Array] = {
            "taxon_id": pa.array(self.ids),
            "scientific_name": pa.array([name for _, name in self.node]),
            "taxon_rank": pa.array(deepest, pa.string()),
        }
        columns |= {rank: pa.array([known[rank] for known in ranks], pa.string()) for rank in RANKS}
        return pa.table(columns)

    def add(self, parent: int, node: Node, active: bool = True) -> int:
        """Appends a node and returns its number."""
        self.parent.append(parent)
        self.node.append(node)
        self.active.append(active)
        return len(self.node) - 1


def grow_tree(pool: SpeciesPool, seed: int) -> TaxonTree:
    """The tree of a pool: subphylum, suborder, subfamily and tribe between the ranks for a share of the lineages."""
    tree = TaxonTree(pool, seed)
    seen: dict[tuple[int, Node], int] = {}
    root = tree.add(-1, ROOT)
    found: dict[str, list[int]] = {"family": [], "genus": [], "species": []}
    columns = [pool.species[rank].to_pylist() for rank in RANKS]
    for lineage in zip(*columns, strict=True):
        at = root
        for step in _path(lineage):
            key = (at, step)
            at = seen.setdefault(key, len(tree.node))
            if at == len(tree.node):
                tree.add(*key)
            if step[0] in found:
                found[step[0]].append(at)
    tree.places = {rank: np.array(nodes) for rank, nodes in found.items()}
    for turn, form in enumerate(FORMS):
        tree.places[form] = _hang(tree, form, turn)
    return tree


def _path(lineage: tuple[str, ...]) -> Iterator[Node]:
    """The steps from kingdom to species. Whether a rank between exists depends on the name above it alone."""
    kingdom, phylum, klass, order, family, genus, epithet = lineage
    yield from (("kingdom", kingdom), ("phylum", phylum))
    if len(phylum) % 4 == 0:
        yield "subphylum", f"{phylum}ina"
    yield from (("class", klass), ("order", order))
    if len(order) % 3 == 0:
        yield "suborder", f"{order}omorpha"
    yield "family", family
    if len(family) % 4:
        stem = family.removesuffix("idae").removesuffix("aceae")
        yield "subfamily", f"{stem}inae"
        if len(genus) % 2:
            yield "tribe", f"{stem}ini"
    yield from (("genus", genus), ("species", f"{genus} {epithet}"))


def _hang(tree: TaxonTree, form: str, turn: int) -> Ints:
    """Adds one form to every tenth species; per species the node of the nearest species before or after that has it."""
    size = tree.pool.size
    owners = np.arange(min(turn * 3, size - 1), size, 10)
    nodes = []
    for owner in owners:
        species, genus = int(tree.places["species"][owner]), int(tree.places["genus"][owner])
        name = tree.node[species][1]
        if form == "subspecies":
            nodes.append(tree.add(species, ("subspecies", f"{name} {name.partition(' ')[2]}")))
        elif form == "inactive":
            nodes.append(tree.add(genus, ("species", f"{name}oides"), active=False))
        else:
            nodes.append(tree.add(genus, ("hybrid", f"{name} {HYBRID_SIGN} {name.partition(' ')[2]}ensis")))
    nearest = np.clip(np.searchsorted(owners, np.arange(size)), 0, owners.size - 1)
    return np.array(nodes)[nearest]


def choose_taxa(tree: TaxonTree, species: Ints, keys: Ints) -> Ints:
    """A node per observation: 88 % its species, the rest subspecies, genus, family, inactive and hybrid taxa."""
    share = below(keys, salt_of(tree.seed, "form"), 100)
    edges = {"species": 88, "subspecies": 93, "genus": 96, "family": 97, "inactive": 99, "hybrid": 100}
    chosen = np.empty(keys.size, dtype=np.int64)
    low = 0
    for form, high in edges.items():
        mask = (share >= low) & (share < high)
        chosen[mask] = tree.places[form][species[mask]]
        low = high
    return chosen
