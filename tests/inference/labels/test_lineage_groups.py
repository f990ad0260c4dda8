"""Labels -> taxa by whole paths; what contradicts itself is told; the kept form is the parsed one."""

import os
import subprocess

import numpy as np
import pytest

import inference.labels.list_cache as module
from inference.labels.labels import read_labels
from inference.labels.lineage_groups import conflicts, lineage_groups
from inference.labels.list_cache import open_list
from taxonomy.ranks import RANKS
from tests.inference.labels.lists import BIRD, ROWS, write_list


def test_homonyms_in_two_kingdoms_are_two_taxa_and_no_contradiction(tmp_path):
    labels = read_labels(write_list(tmp_path / "a.csv"))
    groups = lineage_groups(labels)
    assert groups["genus"].code_C.tolist() == [0, 0, 1, 2, 3]
    assert groups["genus"].first_G.tolist() == [0, 2, 3, 4]
    assert groups["family"].code_C.tolist() == [0, 0, 1, 2, 2]
    assert groups["kingdom"].code_C.tolist() == [0, 0, 0, 1, 1]
    assert conflicts(labels, groups) == []


def test_a_genus_in_two_families_is_two_taxa_and_told(tmp_path):
    rows = [*ROWS, f"Turdus torquatus,{BIRD},Muscicapidae,Turdus,torquatus,", f"Pica pica,{BIRD},,Pica,pica,Magpie"]
    labels = read_labels(write_list(tmp_path / "a.csv", *rows))
    groups = lineage_groups(labels)
    assert groups["genus"].code_C.tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert groups["family"].code_C[6] == -1
    (line,) = conflicts(labels, groups)
    assert "genus Turdus stands under Animalia > Chordata > Aves > Passeriformes > Turdidae and under " in line


def test_names_that_differ_in_case_alone_are_told_in_one_line(tmp_path):
    plain = [row.replace("Animalia", "animalia").replace(",iliacus", ",Merula") for row in ROWS[1:2]]
    labels = read_labels(write_list(tmp_path / "a.csv", ROWS[0], *plain, *ROWS[2:]))
    (line,) = (line for line in conflicts(labels, lineage_groups(labels)) if "case" in line)
    assert "alone: kingdom Animalia and animalia, species Turdus merula and Turdus Merula: counted as" in line
    many = [f"x{number},{text},,,,,,," for number, text in enumerate(["a", "A", "b", "B", "c", "C", "d", "D"])]
    more = [f"y{number},,{text},,,,,," for number, text in enumerate(["e", "E", "f", "F", "g", "G"])]
    labels = read_labels(write_list(tmp_path / "b.csv", *many, *more))
    (line,) = conflicts(labels, lineage_groups(labels))
    assert line.endswith("kingdom d and D, phylum e and E and 2 more: counted as different taxa")


def test_groups_are_those_of_the_paths_one_by_one(tmp_path):
    draw = np.random.default_rng(3)
    rows = []
    for number in range(300):
        path = [("", f"{rank[0]}{draw.integers(3)}")[int(draw.random() > 0.2)] for rank in RANKS]
        rows.append(f"label {number},{','.join(path)},")
    labels = read_labels(write_list(tmp_path / "a.csv", *rows))
    groups = lineage_groups(labels)
    for depth, rank in enumerate(RANKS, 1):
        numbers: dict = {}
        for label in range(len(labels)):
            path = labels.path(label)[:depth]
            is_known = path[-1] is not None and (rank != "species" or path[-2] is not None)
            expected = numbers.setdefault(path, len(numbers)) if is_known else -1
            assert groups[rank].code_C[label] == expected
            if is_known:
                assert labels.path(groups[rank].first_G[expected])[:depth] == path


def test_a_list_of_names_has_no_taxa(tmp_path):
    (tmp_path / "a.txt").write_text("x\ny\n")
    labels = read_labels(tmp_path / "a.txt")
    assert lineage_groups(labels) == {} and conflicts(labels, {}) == []


def test_the_kept_list_is_the_parsed_one_and_damage_is_seen(tmp_path, monkeypatch, caplog):
    rows = [*ROWS, f"Turdus torquatus,{BIRD},Muscicapidae,Turdus,torquatus,"]
    path, cache = write_list(tmp_path / "a.csv", *rows), tmp_path / "cache"
    parsed = open_list(path, None)
    first = open_list(path, cache)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_parsed", lambda path: pytest.fail("read again"))
        kept = open_list(path, cache)
    for one in (first, kept):
        assert one.labels.sha256 == parsed.labels.sha256 and one.conflicts == parsed.conflicts
        assert [one.labels.path(n) for n in range(6)] == [parsed.labels.path(n) for n in range(6)]
        assert one.labels.common_names.to_pylist() == parsed.labels.common_names.to_pylist()
        for rank, groups in parsed.groups.items():
            assert np.array_equal(one.groups[rank].code_C, groups.code_C)
            assert np.array_equal(one.groups[rank].first_G, groups.first_G)
    (table,) = (cache / "lists").glob("*.arrow")
    content = table.read_bytes()
    for damaged in (content[:-1], content[:40] + b"\xff" + content[41:], b"", content[8:] + content[:8]):
        table.write_bytes(damaged)
        assert open_list(path, cache).labels.sha256 == parsed.labels.sha256
        assert "damaged" in caplog.text
        caplog.clear()
    write_list(path, *ROWS)
    assert len(open_list(path, cache).labels) == 5, "another content is another list"


def test_what_killed_runs_left_among_the_kept_lists_is_swept(tmp_path):
    path, lists = write_list(tmp_path / "a.csv"), tmp_path / "cache" / "lists"
    open_list(path, tmp_path / "cache")
    dead = subprocess.Popen(["true"])
    dead.wait()
    (lists / f".x.arrow.{dead.pid}.tmp").write_bytes(b"half")
    (lists / f".x.arrow.{os.getppid()}.tmp").write_bytes(b"being written")
    open_list(path, tmp_path / "cache")
    assert [one.name for one in lists.glob(".*")] == [f".x.arrow.{os.getppid()}.tmp"]
