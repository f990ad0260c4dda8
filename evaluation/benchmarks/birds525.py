"""Birds525 (`--birds DIR --ds-filter birds`): birds from the web under their common names, in capitals.

Facts: 89,885 photos of 525 classes as published: its training, validation and test parts together. BioCLIP scores the
2,625 test photos alone, so that the two figures do not compare. The published code meant to leave one class out, but
spells it in two ways, neither of which is a label; nothing is left out here. The file's names repeat in every class
(`001.jpg`), so that pictures are found by folder and name.

Source: BioTrove (NeurIPS 2024); the file is not among the data counted here.
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import SCIENTIFIC_NAMES, CsvBenchmark, label_only

_LABELS = ("labels", "label")

SPEC = CsvBenchmark(
    name="birds525",
    title="Birds525",
    csv_names=("birds.csv", "birds525_metadata.csv"),
    levels=label_only(*_LABELS),
    headline=LABEL,
    log_name="birds",
    scientific_names=("scientific name", *SCIENTIFIC_NAMES),
    common_names=_LABELS,
)
