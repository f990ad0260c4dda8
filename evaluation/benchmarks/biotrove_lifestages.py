"""BioTrove-LifeStages (`--lifestages`): five insects as adult, larva, pupa and egg.

Facts: 600 photos of 20 classes "<common name> <stage>"; of each insect 50 adults, 50 larvae, 15 pupae and 5 eggs, so
that top-1 says mostly how adults and larvae do. Level `species` is the scientific name, `stage` the stage alone; a
class of level `label` is not a taxon, and its prompts are made of the label.

Source: counted in the published file; BioTrove (NeurIPS 2024).
"""

from evaluation.benchmarks.benchmark import LABEL
from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, SCIENTIFIC_NAMES, CsvBenchmark

SPEC = CsvBenchmark(
    name="biotrove_lifestages",
    title="BioTrove-LifeStages",
    csv_names=("final_lifestages_metadata.csv", "BioTrove-LifeStages.csv"),
    levels={
        LABEL: ("class_out",),
        "species": SCIENTIFIC_NAMES,
        "stage": ("life_stages", "life_stage", "lifeStage"),
    },
    headline=LABEL,
    log_name="lifestages",
    lineage=RANK_LEVELS,
    common_names=COMMON_NAMES,
)
