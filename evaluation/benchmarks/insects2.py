"""IP102 Insects-2 (`--insects2`): pests of crops, out of Meta-Album.

Facts: 4,080 photos, 40 of each of 102 classes, from IP102's training, test and validation parts. Labels are IP102's
own mixture of common and Latin names with words run together or cut apart ("Polyphagotars onemus latus"); the fixed
list mends those whose right form is certain and leaves mere variants alone.

Source: counted in the published file; IP102 (CVPR 2019), Meta-Album (NeurIPS 2022).
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import CsvBenchmark, label_only

SPEC = CsvBenchmark(
    name="insects2",
    title="IP102 Insects-2",
    csv_names=("ins2_metadata_n.csv", "ins2_metadata.csv"),
    levels=label_only("class"),
    headline=LABEL,
    log_name="insects2",
)
