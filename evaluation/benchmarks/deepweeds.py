"""DeepWeeds (`--deepweeds`): weeds of Australia's rangelands, and pictures without any.

Facts: 17,509 photos of 9 classes; eight weeds with 1,009 to 1,125 photos each and "Negative" with 9,106, which is
52.0 % of them: always saying "Negative" scores higher than any published model, and only balanced accuracy tells.
"Negative" is prompted as it stands. "Chinee apple" is the plant's name in Australia.

Source: counted in the published file; DeepWeeds (Scientific Reports 2019).
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import CsvBenchmark, label_only

SPEC = CsvBenchmark(
    name="deepweeds",
    title="DeepWeeds",
    csv_names=("deepweeds_metadata.csv",),
    levels=label_only("Species", "species"),
    headline=LABEL,
    log_name="deepweeds",
)
