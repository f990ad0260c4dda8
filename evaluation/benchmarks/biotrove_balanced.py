"""BioTrove-Balanced (`--arbor-val`): species that training has seen, up to 50 photos of each.

Facts: 112,209 photos of 2,253 species as published: Plantae 500, Insecta 500, Aves 500, Fungi 281, Reptilia 189,
Mollusca 147, Arachnida 136. It is the only benchmark of training species and carries 62 % of the weight of the
class-weighted mean. Level `species` is the bare epithet, which merges taxa of different genera.

Source: BioTrove (NeurIPS 2024).
"""

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME
from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, TAXON_LEVELS, CsvBenchmark

SPEC = CsvBenchmark(
    name="biotrove_balanced",
    title="BioTrove-Balanced",
    csv_names=("arboretum_test_metadata.csv", "BioTrove-Balanced.csv"),
    levels=TAXON_LEVELS,
    headline=SCIENTIFIC_NAME,
    log_name="arbor-test",
    lineage=RANK_LEVELS,
    common_names=COMMON_NAMES,
)
