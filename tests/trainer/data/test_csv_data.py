"""A table of picture paths and captions as a training set."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import byte_tokens, jpeg, text_of_tokens
from trainer.data.batch import Batch, DataSettings
from trainer.data.csv_data import PackedTexts, open_csv
from trainer.data.draws import hash_text

pytestmark = pytest.mark.torch

SETTINGS = DataSettings(4, 1, 0, 7, 16, byte_tokens)


def write_table(folder: Path, header: str = "filepath\ttitle", rows: int = 12, row: str = "photos/{0}.jpg\ttext {0}"):
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for number in range(rows):
        (folder / "photos" / f"{number}.jpg").write_bytes(jpeg(number))
    table = folder / "pairs.csv"
    table.write_text("\n".join([header, *(row.format(number) for number in range(rows))]) + "\n", encoding="utf-8")
    return table


def taken(table: Path, count: int = 3, settings: DataSettings = SETTINGS) -> list[Batch]:
    data = open_csv(settings, table, "train", 0, 1, None)
    batches = list(islice(data.batches(), count))
    data.close()
    return batches


def pairs(batches: list[Batch]) -> list[tuple[int, str, int]]:
    """(row, text, taxon) of every pair, by row."""
    return sorted(
        (item, text_of_tokens(tokens), taxon)
        for batch in batches
        for item, tokens, taxon in zip(
            batch.item_B.tolist(), batch.token_BL.tolist(), batch.taxon_B.tolist(), strict=True
        )
    )


def test_an_epoch_holds_every_row_with_its_text(tmp_path: Path):
    batches = taken(write_table(tmp_path))
    assert pairs(batches) == [(number, f"text {number}", hash_text(f"text {number}")) for number in range(12)]
    assert sum(batch.counts["caption/text"] for batch in batches) == 12
    pictures = {tuple(picture.flatten().tolist()) for batch in batches for picture in batch.image_BHWC}
    assert len(pictures) == 12


def test_other_columns_and_separators_are_found_by_their_flags(tmp_path: Path):
    settings = replace(SETTINGS, csv_image_column="file", csv_caption_column="words", csv_separator=",")
    table = write_table(tmp_path, "id,words,file", row='{0},"text, {0}",photos/{0}.jpg')
    assert [text for _, text, _ in pairs(taken(table, settings=settings))] == [f"text, {n}" for n in range(12)]


def test_a_column_of_taxa_is_used(tmp_path: Path):
    table = write_table(tmp_path, "filepath\ttitle\ttaxon_id", row="photos/{0}.jpg\ttext {0}\t-{0}")
    assert [taxon for _, _, taxon in pairs(taken(table))] == [-number for number in range(12)]
    words = write_table(tmp_path, "filepath\ttitle\ttaxon_id", row="photos/{0}.jpg\ttext {0}\tTurdus")
    assert {taxon for _, _, taxon in pairs(taken(words))} == {hash_text("Turdus")}


def test_missing_files_and_empty_texts_are_replaced_and_counted(tmp_path: Path):
    table = write_table(tmp_path)
    (tmp_path / "photos" / "3.jpg").unlink()
    table.write_text(table.read_text().replace("\ttext 5\n", "\t\n").replace("\ttext 6\n", "\n"))
    batches = taken(table)
    assert not {3, 5, 6} & {item for item, _, _ in pairs(batches)}
    assert {name for batch in batches for name in batch.counts} == {
        "caption/text",
        "bad/missing_image",
        "bad/no_caption",
    }


def test_absolute_paths_and_a_byte_order_mark_are_understood(tmp_path: Path):
    table = write_table(tmp_path / "data", row=f"{tmp_path}/data/photos/{{0}}.jpg\tText é {{0}}")
    moved = tmp_path / "pairs.csv"
    moved.write_text(table.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert pairs(taken(moved))[4][1] == "Text é 4"


@pytest.mark.parametrize(
    "header, message",
    [
        ("path\ttitle", r"--csv-img-key: .*no column 'filepath', it has 'path', 'title'"),
        ("filepath\ttext", r"--csv-caption-key: .*no column 'title'"),
        ("filepath,title", r"--csv-img-key: .*it has 'filepath,title' \(split at --csv-separator '\\t'\)"),
    ],
)
def test_missing_columns_are_refused_by_their_flag(tmp_path: Path, header: str, message: str):
    with pytest.raises(BadInputError, match=message):
        taken(write_table(tmp_path, header))


def test_tables_that_cannot_be_read_are_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"none\.csv: No such file"):
        taken(tmp_path / "none.csv")
    with pytest.raises(BadInputError, match="has no rows"):
        taken(write_table(tmp_path, rows=0))
    table = write_table(tmp_path)
    with pytest.raises(BadInputError, match=r"--batch-size 13.*only 12"):
        taken(table, settings=replace(SETTINGS, batch_size=13))
    with pytest.raises(BadInputError, match="no UTF-8 table"):
        taken(table, settings=replace(SETTINGS, csv_separator="ab"))
    table.write_bytes(b"filepath\ttitle\n\xff\xfe\t\xff\n")
    with pytest.raises(BadInputError, match="no UTF-8 table"):
        taken(table)


def test_paths_that_all_lead_nowhere_are_refused_with_the_first(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"--csv-img-key filepath: none of the first 12 .*elsewhere/0\.jpg"):
        taken(write_table(tmp_path, row="elsewhere/{0}.jpg\ttext {0}"))


def test_packed_texts_come_back():
    texts = ["", "a", "é\n", "", "long " * 100]
    packed = PackedTexts(texts)
    assert [packed[number] for number in range(len(texts))] == texts
