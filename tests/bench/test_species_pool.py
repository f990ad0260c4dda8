"""The species behind generated rows: unique, complete, drawn by the seed, with a long tail of counts."""

import numpy as np
import pytest

from bench.species_pool import RANKS, PoolError, load_pool, shared_lineages

IDENTITY = ["kingdom", "genus", "species"]


@pytest.mark.parametrize("lineages", ["invented", "auto"])
def test_species_are_unique_complete_and_share_epithets(lineages):
    species = load_pool(4_000, 42, lineages).species.to_pandas()
    assert not species.duplicated(IDENTITY).any()
    assert species.notna().all().all()
    assert (species["scientificName"] == species["genus"] + " " + species["species"]).all()
    genera_per_epithet = species.groupby("species")["genus"].nunique()
    assert (genera_per_epithet > 1).sum() > 20


def test_a_genus_has_one_lineage_among_invented_species():
    species = load_pool(4_000, 42, "invented").species.to_pandas()
    assert (species.groupby("genus")[list(RANKS[:-2])].nunique() == 1).all().all()


def test_the_seed_decides_the_pool():
    assert load_pool(500, 1, "invented").species.equals(load_pool(500, 1, "invented").species)
    assert not load_pool(500, 1, "invented").species.equals(load_pool(500, 2, "invented").species)


def test_counts_have_a_long_tail_and_28_percent_outside_the_categories():
    pool = load_pool(60_000, 42, "invented")
    counts = np.diff(pool.counts_so_far(1_000_000), prepend=0)
    species = pool.species.to_pandas()
    inside = species["class"].isin(["Aves", "Arachnida", "Insecta", "Reptilia"])
    inside |= species["kingdom"].isin(["Plantae", "Fungi"]) | (species["phylum"] == "Mollusca")
    assert counts.sum() == 1_000_000
    assert np.array_equal(~inside.to_numpy(), pool.out_of_category())
    assert counts[~inside].sum() / 1_000_000 == pytest.approx(0.28, abs=0.01)
    assert (counts > 1000).sum() > 50
    assert (counts < 30).mean() > 0.8


def test_some_epithets_have_accents_inside_and_outside_the_categories():
    pool = load_pool(4_000, 42, "invented")
    accented = pool.accented()
    assert all(not epithet.isascii() for epithet in pool.species["species"].take(accented).to_pylist())
    assert set(pool.out_of_category()[accented].tolist()) == {True, False}


def test_real_lineages_are_used_where_they_are_there():
    if not shared_lineages().is_file():
        pytest.skip(f"{shared_lineages()} is absent")
    pool = load_pool(1_000, 42, "real")
    assert pool.num_real == 1_000
    assert "Animalia" in pool.species["kingdom"].to_pylist()


def test_missing_real_lineages_are_invented_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TAXAFLOW_SHARED", str(tmp_path))
    assert load_pool(100, 42, "auto").num_real == 0
    with pytest.raises(PoolError, match="does not exist"):
        load_pool(100, 42, "real")
    with pytest.raises(PoolError, match="at least 2"):
        load_pool(1, 42)
