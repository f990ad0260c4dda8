"""The published code beside ours: what it loses is told, and what is no checkout of it is named."""

import numpy as np
import pandas as pd
import pytest

from bench.peer_biotrove import RULE, judge, load_package, main
from bench.selection_oracle import Oracle


def oracle_of(num_photos, category):
    """One species per number, photo ids counting from 1."""
    taxon = np.repeat(np.arange(len(num_photos)), num_photos)
    keys = [("animalia", "genus", str(number)) for number in range(len(num_photos))]
    taxa = pd.DataFrame({"rank": "species", "key": keys, "category": category})
    return Oracle(1 + np.arange(taxon.size), taxon, taxa, {"photos": taxon.size})


def test_a_lost_species_and_one_outside_the_categories_are_told():
    cap = RULE.max_photos
    oracle = oracle_of([cap + 500, 40, 20], ["Aves", "other", "Aves"])
    outside = 1 + cap + 500 + np.arange(40)
    found = judge(oracle, outside)
    assert found["species wrong"] == 2
    assert found["species over the cap"] == found["of them left with none"] == 1
    assert (found["their photos kept"], found["their photos to keep"]) == (0, cap)
    assert found["photos kept outside the categories"] == 40
    right = judge(oracle, 1 + np.arange(cap))
    assert right["species wrong"] == 0
    assert right["photos kept"] == right["photos to keep"] == cap


def test_a_folder_that_is_no_checkout_is_named(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="biotrove_process"):
        load_package(tmp_path)
    assert main(["--code", str(tmp_path), "--input", str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    assert main(["--code", str(tmp_path), "--input", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "name a new folder" in capsys.readouterr().err
