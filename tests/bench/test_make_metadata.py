"""Generated metadata: the same rows from a seed, in the published form, damaged as often as told."""

import json
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.dirt import KINDS, LINEAGE
from bench.make_metadata import BioTroveConfig, main, write_biotrove
from bench.oracle_rows import source_files
from bench.selection_oracle import build_oracle

WORDS = {"", "nan", "none", "unknown", "n/a", "null"}
PUBLISHED = ["photo_id", "scientificName", *LINEAGE, "common_name", "photo_url"]


def write(folder, rows=3_000, files=3, **settings):
    settings = {"species": 400, "seed": 5, "lineages": "invented", **settings}
    return write_biotrove(BioTroveConfig(folder, rows, files=files, **settings))


def read(folder):
    return pa.concat_tables(pq.read_table(path) for path in source_files(folder))


def sorted_rows(folder):
    frame = read(folder).to_pandas().astype(object).where(lambda one: one.notna(), "\0")
    return sorted(map(tuple, frame.astype(str).itertuples(index=False)))


def missing(column):
    return column.isna() | column.fillna("").str.strip().str.lower().isin(WORDS)


def test_the_seed_decides_every_byte(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write(tmp_path / name, seed=seed, dirty=0.1)
    first, second, other = ([path.read_bytes() for path in source_files(tmp_path / name)] for name in "abc")
    assert first == second
    assert first != other


def test_the_rows_do_not_depend_on_the_number_of_files(tmp_path):
    for files in (1, 7):
        write(tmp_path / str(files), files=files, dirty=0.1)
    assert len(source_files(tmp_path / "7")) == 7
    assert sorted_rows(tmp_path / "1") == sorted_rows(tmp_path / "7")


def test_blocks_do_not_depend_on_their_borders(tmp_path, monkeypatch):
    write(tmp_path / "whole", dirty=0.1)
    monkeypatch.setattr("bench.make_metadata.BLOCK_ROWS", 321)
    write(tmp_path / "pieces", dirty=0.1)
    assert read(tmp_path / "whole").equals(read(tmp_path / "pieces"))


def test_clean_rows_have_the_published_form(tmp_path):
    truth = write(tmp_path)
    path = tmp_path / "chunk_0_1000_1.parquet"
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "SNAPPY"
    rows = read(tmp_path).to_pandas()
    assert list(rows.columns) == PUBLISHED
    assert rows["photo_id"].dtype == np.int64
    assert rows["photo_id"].is_unique
    assert rows.notna().all().all()
    found = rows["photo_url"].str.extract(
        r"^http://inaturalist-open-data\.s3\.amazonaws\.com/photos/(\d+)/medium\.(?:jpg|JPG|png)$", expand=False
    )
    assert (found.astype("int64") == rows["photo_id"]).all()
    assert truth["photos"] == truth["rows"] == 3_000


def test_rows_are_shuffled(tmp_path):
    write(tmp_path)
    species = read(tmp_path).to_pandas()["scientificName"].to_numpy()
    assert (species[1:] == species[:-1]).mean() < 0.1


def test_dirty_truth_equals_a_recount(tmp_path):
    truth = write(tmp_path, rows=6_000, dirty=0.2)
    rows = read(tmp_path).to_pandas()
    no_id, no_url = rows["photo_id"].isna(), missing(rows["photo_url"])
    bad_url = ~no_url & ~rows["photo_url"].fillna("").str.match(r"https?://")
    no_taxon = np.logical_and.reduce([missing(rows[rank]) for rank in LINEAGE])
    assert truth["rejects"] == {
        "no_photo_id": no_id.sum(),
        "no_url": no_url.sum(),
        "bad_url": bad_url.sum(),
        "no_taxon": no_taxon.sum(),
    }
    usable = rows[~(no_id | no_url | bad_url | no_taxon)]
    equal = usable.duplicated()
    assert truth["duplicates"] == equal.sum()
    assert truth["conflicts"] == usable[~equal].duplicated("photo_id").sum()
    assert truth["photos"] == usable["photo_id"].nunique()
    assert truth["above_species_rank"] == (missing(usable["species"]) & ~missing(usable["genus"])).sum()
    assert truth["rows"] == len(rows) == 6_000


def test_each_kind_of_damage_is_there_as_often_as_told(tmp_path):
    truth = write(tmp_path, rows=6_000, dirty=0.2)
    rows = read(tmp_path).to_pandas()
    names = rows["scientificName"].fillna("")
    word_family = missing(rows["family"]) & ~missing(rows["genus"])
    blank_order = rows["order"].fillna("x").str.strip().eq("") & ~missing(rows["genus"])
    counted = {
        "missing_words": word_family.sum(),
        "blank_names": blank_order.sum(),
        "null_common_name": (rows["common_name"].isna() & ~missing(rows["genus"])).sum(),
        "decomposed": names.map(lambda text: text != unicodedata.normalize("NFC", text)).sum(),
        "spaces": names.str.contains("  ").sum(),
        "case": names.str.isupper().sum(),
        "trinomial": names.str.fullmatch(r"\S+ \S+ \S+").sum(),
    }
    assert counted == {kind: truth["dirty"][kind] for kind in counted}
    assert min(truth["dirty"].values()) > 0
    assert sum(truth["dirty"].values()) == 1_200
    assert set(truth["dirty"]) == set(KINDS)


def test_the_oracle_counts_what_the_truth_says(tmp_path):
    truth = write(tmp_path, rows=6_000, dirty=0.2)
    oracle = build_oracle(source_files(tmp_path))
    above = oracle.taxa["rank"].to_numpy()[oracle.taxon] != "species"
    assert {name: oracle.counts[name] for name in ("rows", "photos", "duplicates", "conflicts")} == {
        name: truth[name] for name in ("rows", "photos", "duplicates", "conflicts")
    }
    assert {reason: oracle.counts[reason] for reason in truth["rejects"]} == truth["rejects"]
    # A conflict's winner is a species of the pool either way, so genus-only rows are all that is above it.
    assert above.sum() == truth["above_species_rank"]
    assert (oracle.taxa["rank"] == "species").sum() <= 400


def test_the_twelfth_column_is_the_rank(tmp_path):
    write(tmp_path, columns=12, dirty=0.2)
    rows = read(tmp_path).to_pandas()
    assert list(rows.columns) == [*PUBLISHED[:-1], "taxonRank", "photo_url"]
    assert set(rows["taxonRank"].dropna()) == {"species", "genus", "subspecies"}
    trinomials = rows["scientificName"].fillna("").str.fullmatch(r"\S+ \S+ \S+")
    assert (trinomials == rows["taxonRank"].eq("subspecies")).all()


def test_csv_holds_the_same_rows_as_parquet(tmp_path):
    write(tmp_path / "parquet", dirty=0.1)
    write(tmp_path / "csv", dirty=0.1, format="csv")
    tables = []
    for path in source_files(tmp_path / "csv"):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        tables.append(frame)
    csv, parquet = pd.concat(tables), read(tmp_path / "parquet").to_pandas()
    parquet["photo_id"] = parquet["photo_id"].astype("Int64").astype(object)
    assert list(csv.columns) == list(parquet.columns)
    assert csv.to_numpy().tolist() == parquet.astype(object).fillna("").astype(str).to_numpy().tolist()


def test_the_command_writes_files_and_truth(tmp_path, capsys):
    arguments = f"biotrove --rows 500 --species 50 --files 2 --dirty 0.1 --out {tmp_path}/m --truth {tmp_path}/t.json"
    assert main(arguments.split()) == 0
    written = json.loads((tmp_path / "t.json").read_text())
    assert written == json.loads(capsys.readouterr().out)
    assert written["rows"] == read(tmp_path / "m").num_rows == 500


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--rows 0 --files 1", "--files 1"),
        ("--rows 10 --files 11", "--files 11"),
        ("--rows 10 --files 1 --dirty 0.9", "--dirty 0.9"),
        ("--rows 10 --files 1 --species 1", "--species 1"),
    ],
)
def test_senseless_numbers_are_refused_in_one_line(tmp_path, capsys, flags, message):
    assert main(f"biotrove {flags} --out {tmp_path}/m".split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "m").exists()
