"""Any CSV as a benchmark: its label, its levels, and what cannot be read."""

import pytest

from evaluation.benchmarks.csv_file import open_csv
from evaluation.benchmarks.tasks import make_task, rollup_tasks
from taxonomy.errors import BadInputError


def written(tmp_path, text, name="my photos.csv"):
    (tmp_path / name).write_text(text, "utf-8")
    return tmp_path / name


def test_a_label_is_read_from_the_column_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    benchmark = open_csv(written(tmp_path, "path,crop,field\na.jpg,rye,1\nb.jpg,oats,2\n"), "crop")
    assert (benchmark.name, benchmark.levels, benchmark.headline) == ("csv_my_photos", ("label",), "label")
    assert benchmark.rows.sources == [tmp_path / "a.jpg", None]
    assert make_task(benchmark, "label", "published").class_names == ("rye", "oats")


def test_taxonomy_columns_become_levels_and_rollups(tmp_path):
    header = "photo_id,scientificName,kingdom,class,genus,species,common_name\n"
    rows = "1,Tyto alba,Animalia,Aves,Tyto,alba,Barn Owl\n2,Salix alba,Plantae,Magnoliopsida,Salix,alba,\n"
    benchmark = open_csv(written(tmp_path, header + rows))
    assert benchmark.levels == ("kingdom", "class", "genus", "species", "scientific_name", "common_name")
    assert benchmark.headline == "scientific_name"
    rolled = {task.taxon: task.class_names for task in rollup_tasks(benchmark, "published")}
    assert rolled["rollup_species"] == ("Tyto alba", "Salix alba")
    assert rolled.keys() == {"rollup_kingdom", "rollup_class", "rollup_genus", "rollup_species"}


def test_class_is_the_label_unless_other_ranks_are_there(tmp_path):
    assert open_csv(written(tmp_path, "path,class\na,x\n")).levels == ("label",)
    assert open_csv(written(tmp_path, "path,class,order\na,Aves,Passeriformes\n")).headline == "order"
    both = open_csv(written(tmp_path, "path,label,scientific_name\na,x,Tyto alba\n"))
    assert (both.levels, both.headline) == (("label", "scientific_name"), "scientific_name")


def test_labels_that_share_a_species_are_not_taken_for_it(tmp_path):
    rows = "a,egg,Danaus plexippus\nb,adult,Danaus plexippus\nc,owl,Tyto alba\nd,bird,Tyto alba\ne,bird,Salix alba\n"
    benchmark = open_csv(written(tmp_path, "path,label,scientific_name\n" + rows + "f,tree,Quercus robur\n"))
    fields = make_task(benchmark, "label", "published").fields
    assert {name: own.scientific_name for name, own in fields.items()} == {"owl": "Tyto alba", "tree": "Quercus robur"}


def test_what_cannot_be_read_is_said(tmp_path):
    file = written(tmp_path, "path,crop\na.jpg,rye\n")
    with pytest.raises(BadInputError, match="name one with --label-column of path, crop"):
        open_csv(file)
    with pytest.raises(BadInputError, match="kind is needed; the columns are path, crop"):
        open_csv(file, "kind")
    with pytest.raises(BadInputError, match="picture's path, photo id or address"):
        open_csv(written(tmp_path, "crop,size\nrye,1\n"), "crop")
