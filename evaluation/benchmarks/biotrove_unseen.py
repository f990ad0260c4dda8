"""BioTrove-Unseen (`--arbor-rare`): taxa held out of training.

Facts: 3,000 photos in the published file (the paper says 11,983), 10 of each of 300 taxa; birds, insects and plants,
100 taxa each. 57 labels are subspecies, 5 are hybrids, 3 genera, 2 tribes. Nulls: family 10, genus 30, species 50 and
common name 30 rows; the published list keeps them as the class "nan". Common names are cut at their first character
that is no letter or space ("Long" for 5 taxa), so that figures at level `common_name` mean little.

Source: counted in the published file; BioTrove (NeurIPS 2024).
"""

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME
from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, TAXON_LEVELS, CsvBenchmark

SPEC = CsvBenchmark(
    name="biotrove_unseen",
    title="BioTrove-Unseen",
    csv_names=("arboretum_rare_combined_metadata.csv", "BioTrove-Unseen.csv"),
    levels=TAXON_LEVELS,
    headline=SCIENTIFIC_NAME,
    log_name="arbor-rare",
    lineage=RANK_LEVELS,
    common_names=COMMON_NAMES,
)
