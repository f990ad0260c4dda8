"""Fungi (`--fungi`): Danish fungi, a small form of DF20M out of Meta-Album.

Facts: 1,000 photos, 40 of each of 25 species. Labels carry their authors ("Amanita muscaria (L.) Lam., 1783") and are
prompted with them; captions of kinds made from a scientific name use genus and epithet alone. The file writes accents
in two forms of Unicode; all text is NFC here.

Source: counted in the published file; Meta-Album (NeurIPS 2022).
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import CsvBenchmark, label_only

SPEC = CsvBenchmark(
    name="fungi",
    title="Fungi",
    csv_names=("fungi_metadata_n.csv", "fungi_metadata.csv"),
    levels=label_only("class"),
    headline=LABEL,
    log_name="fungi",
    is_label_scientific=True,
)
