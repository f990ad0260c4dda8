"""Generated iNaturalist files: the same bytes from a seed, and a truth that a recount finds."""

import gzip

import numpy as np
import pandas as pd
import pytest

from bench.inaturalist_files import HEADERS, INaturalistConfig, write_inaturalist
from bench.inaturalist_taxa import RANK_LEVELS
from bench.species_pool import RANKS

PHOTOS = 6_000
SETTINGS = {"species": 300, "seed": 5, "lineages": "invented"}


def read_tables(folder):
    """Each table by splitting lines at tabs, nothing else: the files know no quoting."""
    tables = {}
    for name in HEADERS:
        lines = gzip.decompress((folder / f"{name}.csv.gz").read_bytes()).decode().splitlines()
        rows = [line.split("\t") for line in lines]
        assert tuple(rows[0]) == tuple(HEADERS[name])
        assert {len(row) for row in rows} == {len(HEADERS[name])}
        tables[name] = pd.DataFrame(rows[1:], columns=rows[0])
    return tables


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    out = tmp_path_factory.mktemp("inaturalist")
    truth_file = out / "truth.parquet"
    truth = write_inaturalist(INaturalistConfig(out, PHOTOS, months=2, truth_rows=truth_file, **SETTINGS))
    tables = {number: read_tables(out / f"month{number}") for number in (1, 2)}
    rows = pd.read_parquet(truth_file)
    return truth, tables, {number: rows[rows["month"] == number].reset_index(drop=True) for number in (1, 2)}


def accepted(tables):
    """Photo rows joined with what the other tables say, research grade with a known taxon only."""
    joined = tables["photos"].merge(tables["observations"], on="observation_uuid", suffixes=("", "_observation"))
    joined = joined[joined["quality_grade"] == "research"]
    return joined.merge(tables["taxa"], on="taxon_id")


def resolve(taxon_id, taxa):
    """The seven ranks of a taxon by walking its ancestry."""
    ranks = dict.fromkeys(RANKS)
    for step in [*filter(None, taxa.loc[taxon_id, "ancestry"].split("/")), taxon_id]:
        rank, name = taxa.loc[step, "rank"], taxa.loc[step, "name"]
        if rank in RANKS:
            ranks[rank] = name.split(" ", 1)[1] if rank == "species" else name
    return ranks


def test_the_seed_decides_every_byte(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_inaturalist(INaturalistConfig(tmp_path / name, 500, species=50, seed=seed, lineages="invented"))
    for table in HEADERS:
        first, second, other = ((tmp_path / name / f"{table}.csv.gz").read_bytes() for name in "abc")
        assert first == second
        assert table == "observers" or first != other


def test_blocks_do_not_depend_on_their_borders(tmp_path, monkeypatch):
    config = {"photos": 1_000, **SETTINGS}
    whole = write_inaturalist(INaturalistConfig(tmp_path / "whole", **config))
    monkeypatch.setattr("bench.inaturalist_files.BLOCK_PHOTOS", 77)
    assert write_inaturalist(INaturalistConfig(tmp_path / "pieces", **config)) == whole
    first, second = read_tables(tmp_path / "whole"), read_tables(tmp_path / "pieces")
    for name in HEADERS:
        assert sorted(map(tuple, first[name].to_numpy())) == sorted(map(tuple, second[name].to_numpy()))


def test_counts_equal_a_recount_from_the_files(months):
    truth, tables, _ = months
    for number, counts in enumerate(truth["months"], start=1):
        photos, observations, taxa = (tables[number][name] for name in ("photos", "observations", "taxa"))
        known = photos["observation_uuid"].isin(observations["observation_uuid"])
        quality = photos.merge(observations, on="observation_uuid")
        research = quality[quality["quality_grade"] == "research"]
        assert counts["rows"] == len(photos)
        assert counts["rejects"] == {
            "no_observation": (~known).sum(),
            "not_research_grade": len(quality) - len(research),
            "no_taxon": (~research["taxon_id"].isin(taxa["taxon_id"])).sum(),
        }
        kept = accepted(tables[number])
        assert counts["photos"] == kept["photo_id"].nunique()
        assert sum(counts["second_rows"].values()) == len(kept) - kept["photo_id"].nunique()
        assert counts["second_rows"]["duplicate"] == photos.duplicated().sum()


def test_ancestry_resolves_to_the_seven_ranks_of_the_truth(months):
    _, tables, rows = months
    taxa = tables[1]["taxa"].set_index("taxon_id")
    wanted = rows[1].dropna(subset=["taxon_id"]).drop_duplicates("taxon_id")
    assert len(wanted) > 100
    for row in wanted.astype(object).where(wanted.notna(), None).to_dict("records"):
        taxon_id = str(int(row["taxon_id"]))
        ranks = resolve(taxon_id, taxa)
        assert {rank: row[rank] for rank in RANKS} == ranks
        assert row["taxon_rank"] == max((rank for rank in RANKS if ranks[rank]), key=RANKS.index)
        assert row["scientific_name"] == taxa.loc[taxon_id, "name"]


def test_truth_rows_are_the_rows_of_the_photos_file(months):
    _, tables, rows = months
    for number in (1, 2):
        photos = tables[number]["photos"]
        columns = ["photo_id", "observation_uuid", "license"]
        assert (rows[number][columns].astype(str).to_numpy() == photos[columns].to_numpy()).all()


def test_the_tree_has_ranks_between_and_below_the_seven(months):
    _, tables, _ = months
    taxa = tables[1]["taxa"]
    assert set(taxa["rank"]) == set(RANK_LEVELS)
    assert (taxa["rank_level"].astype(int) == taxa["rank"].map(RANK_LEVELS)).all()
    assert taxa["taxon_id"].is_unique
    subspecies = taxa[taxa["rank"] == "subspecies"].iloc[0]
    parent = taxa[taxa["taxon_id"] == subspecies["ancestry"].split("/")[-1]].iloc[0]
    assert parent["rank"] == "species"
    assert subspecies["name"].startswith(parent["name"] + " ")
    assert set(taxa["active"]) == {"true", "false"}


def test_fields_hold_what_trips_readers(months):
    _, tables, _ = months
    photos, observations, observers = (tables[1][name] for name in ("photos", "observations", "observers"))
    assert observers["name"].str.count('"').mod(2).eq(1).any()
    assert observers["name"].eq("").any()
    assert {"jpg", "jpeg", "png", "gif"} <= set(photos["extension"])
    assert {"CC0", "CC-BY", "CC-BY-NC", "CC-BY-ND"} <= set(photos["license"])
    assert {"research", "needs_id", "casual"} == set(observations["quality_grade"])
    assert observations["taxon_id"].eq("").any()
    assert observations["observation_uuid"].is_unique
    assert photos["observation_uuid"].str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    assert photos["observer_id"].isin(observers["observer_id"]).all()
    assert photos.drop_duplicates().groupby("observation_uuid").size().max() == 3
    assert 0 < photos["photo_id"].duplicated().sum() < 0.01 * PHOTOS


def test_an_observation_and_its_photos_have_one_observer(months):
    _, tables, _ = months
    joined = tables[1]["photos"].merge(tables[1]["observations"], on="observation_uuid", suffixes=("", "_other"))
    assert (joined["observer_id"] == joined["observer_id_other"]).all()


def test_the_next_month_changes_what_it_tells(months):
    truth, tables, _ = months
    before, after = (accepted(tables[number]).drop_duplicates("photo_id").set_index("photo_id") for number in (1, 2))
    both = before.index.intersection(after.index)
    steady = both[before.loc[both, "observation_uuid"].to_numpy() == after.loc[both, "observation_uuid"].to_numpy()]
    assert len(steady) == len(both)
    changed = {
        "new": len(after.index.difference(before.index)),
        "relabelled": int((before.loc[both, "taxon_id"].to_numpy() != after.loc[both, "taxon_id"].to_numpy()).sum()),
        "withdrawn": len(before.index.difference(after.index)),
        "relicensed": int((before.loc[both, "license"].to_numpy() != after.loc[both, "license"].to_numpy()).sum()),
    }
    assert truth["months"][1]["changes"] == changed
    shares = np.array(list(changed.values())) / len(before)
    assert shares == pytest.approx([0.03, 0.01, 0.01, 0.005], abs=0.006)


def test_senseless_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--photos 0"):
        INaturalistConfig(tmp_path, 0)
    with pytest.raises(ValueError, match="--months 0"):
        INaturalistConfig(tmp_path, 10, months=0)
