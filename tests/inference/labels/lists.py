"""Label lists for tests: real taxa with what lists go wrong with."""

from pathlib import Path

HEADER = "scientific_name,kingdom,phylum,class,order,family,genus,species,common_name"
BIRD = "Animalia,Chordata,Aves,Passeriformes"
PLANT = "Plantae,Tracheophyta,Magnoliopsida,Lamiales"
ROWS = (
    f"Turdus merula,{BIRD},Turdidae,Turdus,merula,Common Blackbird",
    f"Turdus iliacus,{BIRD},Turdidae,Turdus,iliacus,Redwing",
    f"Prunella modularis,{BIRD},Prunellidae,Prunella,modularis,Dunnock",
    f"Prunella vulgaris,{PLANT},Lamiaceae,Prunella,vulgaris,Selfheal",
    f"Salvia pratensis,{PLANT},Lamiaceae,Salvia,pratensis,Meadow Clary",
)


def write_list(path: Path, *rows: str, header: str = HEADER) -> Path:
    """A CSV of these rows, of ROWS without any."""
    path.write_text("\n".join([header, *(rows or ROWS)]) + "\n", encoding="utf-8")
    return path
