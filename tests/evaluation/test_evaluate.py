"""Records of a benchmark's tasks: which are made, what they count, and what they may replace."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

import evaluation
from bench.planted_model import label_vector
from evaluation.benchmarks.benchmark import Benchmark, Rows
from evaluation.encoding.preprocess import Preprocess
from taxonomy.errors import BadInputError

pytestmark = pytest.mark.torch

SPECIES = {
    "Parus major": ("Parus", "Paridae"),
    "Pica pica": ("Pica", "Corvidae"),
    "Corvus corax": ("Corvus", "Corvidae"),
}
SHADES = {name: 40 + 80 * number for number, name in enumerate(SPECIES)}

PIXELS = Preprocess(8, "bicubic", "shortest", (0, 0, 0), (1, 1, 1))


@dataclass
class ShadeEncoder:
    """Knows each species by its shade of grey; counts the pictures it was given."""

    num_pictures: int = 0
    preprocess: Preprocess = PIXELS
    hash: str = "ab" * 32
    variant: str = ""
    logit_scale: float = 100.0

    def encode_images(self, image_NHWC: torch.Tensor) -> torch.Tensor:
        self.num_pictures += len(image_NHWC)
        shades = image_NHWC.float().mean((1, 2, 3)).tolist()
        names = [min(SHADES, key=lambda name: abs(SHADES[name] - shade)) for shade in shades]
        return torch.from_numpy(np.stack([label_vector(name) for name in names]))

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        known = [next((name for name in SPECIES if name in text), text) for text in texts]
        return torch.from_numpy(np.stack([label_vector(name) for name in known]))


@dataclass(frozen=True)
class Drawn:
    """Reads a grey picture."""

    shade: int

    def __call__(self) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (9, 9), (self.shade,) * 3).save(file, "PNG")
        return file.getvalue()


def benchmark_of(names: list[str | None], keys: list[str] | None = None) -> Benchmark:
    """A picture per name; a row without one shows the first species."""
    lineage = [SPECIES.get(name or "", (None, None)) for name in names]
    rows = Rows(
        keys=keys or [f"{number}.png" for number in range(len(names))],
        sources=[Drawn(SHADES.get(name or "", 40)) for name in names],
        labels={"genus": [genus for genus, _ in lineage], "scientific_name": names},
        lineage={"genus": [genus for genus, _ in lineage], "family": [family for _, family in lineage]},
    )
    return Benchmark("garden", rows, ("genus", "scientific_name"), "scientific_name")


def test_a_rank_brings_its_rollup_and_the_headline_itself_alone():
    benchmark = benchmark_of([*SPECIES] * 2)

    def taxa(*asked: str) -> list[str]:
        found = evaluation.run(benchmark, ShadeEncoder(), evaluation.RunOptions(taxa=asked))
        return [record["taxon"] for record in found]

    assert taxa("headline") == ["scientific_name"]
    assert taxa("genus") == ["genus", "rollup_genus"]
    assert taxa("rollup_family") == ["rollup_family"]
    assert taxa("all") == ["genus", "scientific_name", "rollup_family", "rollup_genus"]
    for unknown in ("tribe", "rollup_order"):
        with pytest.raises(BadInputError, match=unknown):
            taxa(unknown)


@pytest.mark.parametrize("names", [["Pica pica"], [None, *SPECIES, None], ["Pica pica"] * 60 + ["Parus major"]])
@pytest.mark.parametrize("class_list", ["published", "fixed"])
def test_one_row_missing_names_and_a_skewed_species_add_up(names, class_list):
    options = evaluation.RunOptions(class_list=class_list, few_shot=True)
    for record in evaluation.run(benchmark_of(names), ShadeEncoder(), options):
        left_out = record["num_missing"] + record["num_unreadable"] + record["num_null_label"]
        assert record["num_images"] + left_out == record["n_rows"] == len(names)
        if record["taxon"] == "scientific_name" and class_list == "fixed":
            assert record["metrics"]["top1"]["value"] == 1
            assert record["num_null_label"] == names.count(None)


def test_what_another_run_wrote_is_not_replaced_and_nothing_is_encoded_for_it(tmp_path):
    benchmark, options = benchmark_of([*SPECIES] * 3), evaluation.RunOptions(out=tmp_path)
    evaluation.run(benchmark, ShadeEncoder(), options)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    encoder = ShadeEncoder()
    others = {"precision": (benchmark, replace(options, precision="amp_bf16"))}
    others["rows_sha256"] = (benchmark_of([*SPECIES] * 3, [f"{number}.jpg" for number in range(9)]), options)
    for what, (rows, asked) in others.items():
        with pytest.raises(BadInputError, match=f"another {what}.*--out"):
            evaluation.run(rows, encoder, asked)
    assert encoder.num_pictures == 0
    evaluation.run(benchmark, ShadeEncoder(), options)  # the same again
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_picture_listed_twice_is_not_both_learnt_from_and_asked_for():
    keys = [f"{number}.png" for number in range(9)] * 2
    options = evaluation.RunOptions(taxa=("headline",), few_shot=True)
    (record,) = evaluation.run(benchmark_of([*SPECIES] * 6, keys), ShadeEncoder(), options)
    one_shot = record["few_shot"]["shots"]["1"]
    assert record["num_images"] == 18
    assert one_shot["num_support"] + one_shot["num_queries"] == 9
