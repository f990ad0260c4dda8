"""Confounding species (`--confounding`): five pairs of insects that look alike.

Facts: 100 rows, 10 of each of 10 labels in pairs C1 to C5. The headline is the choice between the two species of a
row's pair; the choice among all labels stands beside it. Harmonia axyridis is in two pairs, with the same ten photos;
in C2 it is spelt "Harmonia axyridies", which the published list keeps as a class of its own. The fixed list has 9
classes and 90 distinct photos. Pairs are met by label, never by the file's `idx`, which numbers the labels in the
order of the rows. It stays outside the paper's average.

Source: counted in the published file; BioTrove (NeurIPS 2024).
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import SCIENTIFIC_NAMES, CsvBenchmark, label_only

SPEC = CsvBenchmark(
    name="confounding",
    title="Confounding species",
    csv_names=("confounding_species.csv",),
    levels=label_only(*SCIENTIFIC_NAMES),
    headline=LABEL,
    log_name="confounding",
    is_label_scientific=True,
    pairs=("pair",),
    shares_pictures=True,
)
