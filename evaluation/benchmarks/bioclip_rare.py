"""BioCLIP-Rare (`--bioclip-rare`): rare animals, held out of BioCLIP's training.

Facts: 11,983 photos (the paper says 12,000) of 400 species, 21 to 30 each, all Animalia: level `kingdom` has one class.
About 213 of them belong to no category of BioTrove-Train (mammals, amphibians, fish, corals). Level `class` is column
`cls`; in the original file column `class` holds the scientific name. Two common names stand for two species each.

Source: counted in the published file; BioCLIP (CVPR 2024).
"""

from evaluation.benchmarks.benchmark import SCIENTIFIC_NAME
from evaluation.benchmarks.csv_benchmark import COMMON_NAMES, RANK_LEVELS, SCIENTIFIC_NAMES, TAXON_LEVELS, CsvBenchmark

_CLASS = ("cls", "class")

SPEC = CsvBenchmark(
    name="bioclip_rare",
    title="BioCLIP-Rare",
    csv_names=("bioclip_rare_metadata_n.csv", "bioclip-rare-metadata.csv"),
    levels={**TAXON_LEVELS, "class": _CLASS, SCIENTIFIC_NAME: (*SCIENTIFIC_NAMES, "class")},
    headline=SCIENTIFIC_NAME,
    log_name="bioclip-rare",
    lineage={**RANK_LEVELS, "class": _CLASS},
    common_names=COMMON_NAMES,
)
