"""Result files as an evaluation of three models over several benchmarks writes them, from a seed.

`python -m tests.evaluation.report.result_files FOLDER` writes them where a person wants to look at the page.

Shapes: N pictures, C classes, K guesses kept.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from evaluation.metrics.few_shot import few_shot
from evaluation.metrics.splits import make_split
from evaluation.metrics.summary import measure, measure_details
from evaluation.results.predictions_file import predictions_path, write_predictions
from evaluation.results.result import SCHEMA_VERSION, names_sha256, write_result
from evaluation.results.thumbnails import example_rows, with_examples, write_thumbnails
from evaluation.scoring.predictions import Predictions

MODELS: Mapping[str, float] = {
    "hf-hub:imageomics/bioclip": 2.4,
    "runs/oaks/checkpoints/epoch_12.pt": 2.0,
    "ViT-B-16": 1.1,
}
"""Name -> how far its right classes stand out."""

GENERA = ("Turdus", "Quercus", "Amanita", "Danaus", "Lampropeltis", "Helix")
EPITHETS = ("alba", "robusta", "minor", "pratensis", "septentrionalis")
SPECIES = tuple(f"{genus} {epithet}" for genus in GENERA for epithet in EPITHETS)
ORDERS = ("Passeriformes", "Fagales", "Agaricales", "Lepidoptera", "Squamata", "Stylommatophora")
LINEAGE = tuple((*("Life",) * 3, ORDERS[place // 5], GENERA[place // 5], name) for place, name in enumerate(SPECIES))

WEEDS = ("Chinee apple", "Lantana", "Parkinsonia", "Parthenium", "Prickly acacia", "Rubber vine", "Siam weed")
FUNGI = tuple(f"Boletus {letter}us (L.) Fr., 1838" for letter in "abcdefghijklmnopqrstuvwxy")


@dataclass(frozen=True)
class Asked:
    """One task: its classes, pictures per class, and groups of classes that look alike."""

    benchmark: str
    taxon: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    group: tuple[int, ...]
    headline: bool = True


SPECIES_TASK = Asked("biotrove_unseen", "scientific_name", SPECIES, (10,) * 30, tuple(n // 5 for n in range(30)))
TASKS = (
    SPECIES_TASK,
    Asked("biotrove_unseen", "genus", GENERA, (50,) * 6, tuple(range(6)), headline=False),
    Asked("biotrove_unseen", "order", ORDERS, (50,) * 6, tuple(range(6)), headline=False),
    Asked("deepweeds", "label", (*WEEDS, "Snake weed", "Negative"), (*(30,) * 8, 240), (0, 0, 1, 1, 2, 2, 3, 3, 4)),
    Asked("fungi", "label", FUNGI, (12,) * 25, tuple(n // 3 for n in range(25))),
    Asked("my garden", "label", ("blackbird", "fieldfare", "oak"), (4, 3, 2), (0, 0, 1)),
)


def write_results(folder: Path, seed: int = 0, draws: int = 20, tasks: Sequence[Asked] = TASKS) -> list[dict[str, Any]]:
    """The records of all models and tasks, written into the folder with predictions and thumbnails."""
    records = []
    for number, name in enumerate(MODELS):
        for asked in tasks:
            rng = np.random.default_rng([seed, number, sum(asked.benchmark.encode()), len(asked.taxon)])
            score_NC, class_N = _scores(asked, MODELS[name], rng)
            records.append(_write(folder, name, asked, _predictions(score_NC, class_N), draws))
            if asked is SPECIES_TASK:
                rolled = _rolled_up(asked, score_NC, class_N)
                records += [_write(folder, name, task, guesses, draws) for task, guesses in rolled]
    return records


def _scores(asked: Asked, skill: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N, C] that favour the right class, and less so those that look like it, and the right classes [N]."""
    class_N = np.repeat(np.arange(len(asked.names)), asked.sizes)
    group_C = np.array(asked.group)
    is_alike_NC = group_C[class_N][:, None] == group_C
    ease_C = np.linspace(0.5, 1.5, len(asked.names))
    score_NC = rng.normal(size=(len(class_N), len(asked.names))) + 0.6 * skill * is_alike_NC
    score_NC[np.arange(len(class_N)), class_N] += skill * ease_C[class_N]
    return score_NC, class_N


def _predictions(score_NC: np.ndarray, class_N: np.ndarray) -> Predictions:
    """The rows 3, 4 and 5 are those without a readable picture."""
    guess_NK = np.argsort(-score_NC, axis=1, kind="stable")[:, :5]
    top_NK = np.take_along_axis(score_NC, guess_NK, 1)
    confidence_N = np.exp(2 * top_NK[:, 0]) / np.exp(2 * score_NC).sum(1)
    row_N = np.arange(len(class_N)) + 3 * (np.arange(len(class_N)) >= 3)
    return Predictions(row_N, class_N, guess_NK, top_NK.astype(np.float32), confidence_N.astype(np.float32), 1)


def _rolled_up(asked: Asked, score_NC: np.ndarray, class_N: np.ndarray) -> list[tuple[Asked, Predictions]]:
    """The tasks of the genera and orders, from the probabilities of the species."""
    group_C = np.array(asked.group)
    share_NC = np.exp(2 * score_NC) / np.exp(2 * score_NC).sum(1, keepdims=True)
    share_NG = np.stack([share_NC[:, group_C == group].sum(1) for group in range(6)], 1)
    guesses = _predictions(np.log(share_NG) / 2, group_C[class_N])
    return [
        (Asked(asked.benchmark, f"rollup_{rank}", names, (50,) * 6, tuple(range(6)), headline=False), guesses)
        for rank, names in (("order", ORDERS), ("genus", GENERA))
    ]


def _write(folder: Path, model: str, asked: Asked, predictions: Predictions, draws: int) -> dict[str, Any]:
    record = _origin(model, asked) | _counts(predictions)
    record |= measure(predictions, asked.names)
    if asked.headline:
        details = measure_details(predictions, LINEAGE if asked.names is SPECIES else None, draws)
        record |= details | {"metrics": record["metrics"] | details["metrics"]}
        record["few_shot"] = _few_shot(predictions, asked, MODELS[model])
        confusions = record["confusions"]
        rows = example_rows(confusions, predictions, asked.names)
        class_of = dict(zip(predictions.row_N.tolist(), predictions.class_N.tolist(), strict=True))
        sources = {row: _Drawing(asked.benchmark, row, class_of[row]) for own in rows for row in own}
        files = write_thumbnails(folder, asked.benchmark, "0" * 64, sources)
        keys = [f"{asked.benchmark}/{row:05}.jpg" for row in range(len(predictions) + 3)]
        record["confusions"] = with_examples(confusions, predictions, asked.names, keys, files)
    path = write_result(folder, record)
    write_predictions(predictions_path(path), predictions)
    return record


def _origin(model: str, asked: Asked) -> dict[str, Any]:
    hash_of = names_sha256([model])
    about = {"activation": "quickgelu" if model == "ViT-B-16" else "gelu", "activation_source": "configuration"}
    return {
        "schema_version": SCHEMA_VERSION,
        "benchmark": asked.benchmark,
        "taxon": asked.taxon,
        "class_list": "published",
        "protocol": "paper",
        "headline": asked.headline,
        "model": {"name": model, "hash": hash_of, "pretrained": "openai" if model == "ViT-B-16" else None} | about,
        "preprocessing": {"image_size": 224, "interpolation": "bilinear", "resize_mode": "shortest"},
        "prompts": {"set": "openai80", "logit_scale": 100.0},
        "class_list_sha256": names_sha256(asked.names),
        "num_classes": len(asked.names),
    }


def _counts(predictions: Predictions) -> dict[str, Any]:
    return {
        "n_rows": len(predictions) + 3,
        "num_images": len(predictions),
        "num_missing": 1,
        "num_unreadable": 2,
        "num_null_label": 0,
        "num_near_ties": predictions.num_near_ties,
        "missing": ["pictures/00003.jpg"],
        "unreadable": [
            {"key": "pictures/00004.jpg", "reason": "0 bytes"},
            {"key": "pictures/00005.jpg", "reason": "cannot identify image file"},
        ],
    }


def _few_shot(predictions: Predictions, asked: Asked, skill: float) -> dict[str, Any]:
    rng = np.random.default_rng(len(asked.names))
    centre_CD = rng.normal(size=(len(asked.names), 16))
    image_ND = skill * centre_CD[predictions.class_N] / 2 + rng.normal(size=(len(predictions), 16))
    split = make_split(predictions.class_N, [f"{row}" for row in predictions.row_N], folds=2)
    return few_shot(image_ND.astype(np.float32), split)


@dataclass(frozen=True)
class _Drawing:
    """A picture that can be told by its eyes: colours by class, shapes by row."""

    benchmark: str
    row: int
    class_: int

    def __call__(self) -> bytes:
        rng = np.random.default_rng([self.row, len(self.benchmark)])
        width, height = rng.integers(150, 260, 2).tolist()
        picture = Image.new("RGB", (width, height), (90 + 9 * (self.class_ % 7), 130, 80 + 5 * (self.class_ % 11)))
        draw = ImageDraw.Draw(picture)
        for _ in range(25):
            left, top = rng.integers(-20, 220, 2).tolist()
            size = int(rng.integers(20, 90))
            fill = tuple(((37 * self.class_ + 60) % 160 + rng.integers(0, 90, 3)).tolist())
            draw.ellipse((left, top, left + size, top + size // 2), fill=fill)
        file = io.BytesIO()
        picture.save(file, "JPEG")
        return file.getvalue()


if __name__ == "__main__":
    write_results(Path(sys.argv[1]), draws=200)
