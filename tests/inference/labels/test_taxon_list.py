"""A list of taxa -> the labels under them; what means nothing is named, with what is near."""

import pytest

from inference.labels.labels import read_labels
from inference.labels.lineage_groups import lineage_groups
from inference.labels.taxon_list import labels_under, read_taxa
from taxonomy.errors import BadInputError
from tests.inference.labels.lists import ROWS, write_list


@pytest.fixture
def found(tmp_path):
    """What a list's content leads to: the numbers of the labels."""
    labels = read_labels(write_list(tmp_path / "labels.csv", *ROWS, "some plant,Plantae,,,,,,,"))
    groups = lineage_groups(labels)

    def find(name: str, content: str) -> list[int]:
        (tmp_path / name).write_text(content)
        return labels_under(labels, groups, read_taxa(tmp_path / name), "--only x").tolist()

    return find


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "Turdidae\n", [0, 1]),
        ("a.txt", "turdus MERULA\n\nPlantae\nplantae\n", [0, 3, 4, 5]),
        ("a.txt", "Prunella\n", [2, 3]),
        ("a.txt", "Animalia\nTurdus\n", [0, 1, 2]),
        ("a.csv", "taxon,note\nLamiaceae,x\n", [3, 4]),
        ("a.csv", "kingdom,genus\nPlantae,Prunella\n", [3]),
        ("a.csv", "kingdom,genus\nplantae,prunella\nAnimalia,Prunella\n", [2, 3]),
        ("a.csv", "kingdom,genus\nPlantae,Prunella\n,Prunella\n", [2, 3]),
        ("a.csv", "genus\nPrunella\n", [2, 3]),
        ("a.csv", "scientific_name,genus\nTurdus merula,\n,Salvia\n", [0, 4]),
        ("a.csv", "scientific_name,genus\n,Turdus\n", [0, 1]),
        ("a.csv", "name,family,genus\nTurdus merula,nonsense,\n,Lamiaceae,\n,,\n", [0, 3, 4]),
        ("a.csv", "kingdom,genus,species\nPlantae,Prunella,vulgaris\n", [3]),
        ("a.csv", "family,genus,species\nTurdidae,Turdus,iliacus\nLamiaceae,,\n", [1, 3, 4]),
        ("a.csv", "genus,species\nTurdus,Turdus merula\n", [0]),
        ("a.csv", "order\nLamiales\n", [3, 4]),
        ("a.csv", "species\nSalvia pratensis\n", [4]),
    ],
)
def test_names_at_any_rank_mean_the_labels_under_them(found, name, content, expected):
    assert found(name, content) == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "Turdidae\nTurdos\n", r"--only x: 'Turdos' \(near: Turdus"),
        ("a.txt", "zzz\n", "'zzz' is no label and no taxon"),
        ("a.txt", "\n".join(f"no{number}" for number in range(9)), "and 4 more are no labels"),
        ("a.csv", "family\nTurdus\n", "family 'Turdus' .*is no label"),
        ("a.csv", "family\nTurdus merula\n", "family 'Turdus merula' "),
        ("a.csv", "kingdom,genus\nPlantae,Turdus\n", "genus 'Turdus' under Plantae .*is no label and no taxon"),
        ("a.csv", "kingdom,genus\nPlantae,Turdus\n,Turdus\nFungi,Salvia\n", "'Turdus' under .* 'Salvia' under Fungi"),
        ("a.csv", "kingdom,genus,species\nPlantae,Turdus,merula\n", "species 'Turdus merula' under Plantae"),
        ("a.txt", "merula\n", "'merula'"),
        ("a.txt", "\n \n", "no name in it"),
        ("a.txt", "", "empty list"),
        ("a.csv", "photo\n1\n", "no column"),
    ],
)
def test_what_means_nothing_is_refused_by_name(found, name, content, expected):
    with pytest.raises(BadInputError, match=expected):
        found(name, content)


def test_what_the_label_list_does_not_know_contradicts_nothing(tmp_path):
    rows = ["Pica pica,,,,,Corvidae,Pica,pica,", "Pica nuttalli,Animalia,,,,Corvidae,Pica,nuttalli,"]
    labels = read_labels(write_list(tmp_path / "labels.csv", *rows))
    groups = lineage_groups(labels)

    def found(content: str) -> list[int]:
        (tmp_path / "only.csv").write_text(content)
        return labels_under(labels, groups, read_taxa(tmp_path / "only.csv"), "--only x").tolist()

    assert found("kingdom,phylum,genus\nAnimalia,Chordata,Pica\n") == [0, 1]
    assert found("kingdom,genus\nPlantae,Pica\n") == [0]
