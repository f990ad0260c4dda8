"""The drawn species: lineage, English name, number of pictures and painter of each.

Lineages and names: iNaturalist taxonomy joined with the GBIF backbone (CC-BY-4.0); names shortened where they
carried a second adjective. Two species carry no common name on purpose, as many rows of real metadata do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sample.painters import arachnids, birds, fungi, insects, molluscs, plants, reptiles
from sample.pen import Pen


@dataclass(frozen=True)
class DrawnSpecies:
    """One species of the set.

    `lineage` holds kingdom to genus, `species` the epithet; an empty `common_name` is a null. `max_turn_deg` is how
    far a picture may be turned from upright: 180 for what is seen from above.
    """

    lineage: tuple[str, str, str, str, str, str]
    species: str
    common_name: str
    num_pictures: int
    paint: Callable[[Pen, Random], None]
    max_turn_deg: float

    @property
    def scientific_name(self) -> str:
        """Genus and epithet."""
        return f"{self.lineage[-1]} {self.species}"


def _species(
    path: str, name: str, num_pictures: int, paint: Callable[[Pen, Random], None], max_turn_deg: float
) -> DrawnSpecies:
    kingdom, phylum, class_, order, family, genus, epithet = path.split()
    return DrawnSpecies(
        (kingdom, phylum, class_, order, family, genus), epithet, name, num_pictures, paint, max_turn_deg
    )


_BIRD = "Animalia Chordata Aves"
_SPIDER = "Animalia Arthropoda Arachnida"
_INSECT = "Animalia Arthropoda Insecta"
_DICOT = "Plantae Tracheophyta Magnoliopsida"
_MUSHROOM = "Fungi Basidiomycota Agaricomycetes"
_MOLLUSC = "Animalia Mollusca"
_REPTILE = "Animalia Chordata Reptilia"

DRAWN_SPECIES: tuple[DrawnSpecies, ...] = (
    _species(f"{_INSECT} Lepidoptera Nymphalidae Danaus plexippus", "Monarch Butterfly", 60, insects.monarch, 180),
    _species(
        f"{_BIRD} Passeriformes Cardinalidae Cardinalis cardinalis",
        "Northern Cardinal",
        56,
        birds.northern_cardinal,
        12,
    ),
    _species(f"{_MUSHROOM} Agaricales Amanitaceae Amanita muscaria", "Fly Agaric", 52, fungi.fly_agaric, 12),
    _species(
        f"{_INSECT} Coleoptera Coccinellidae Coccinella septempunctata",
        "Seven-spotted Ladybird",
        48,
        insects.seven_spot_ladybird,
        180,
    ),
    _species(
        f"{_SPIDER} Araneae Araneidae Araneus diadematus", "European Garden Spider", 45, arachnids.garden_spider, 180
    ),
    _species(f"{_DICOT} Asterales Asteraceae Helianthus annuus", "Common Sunflower", 43, plants.sunflower, 180),
    _species(
        f"{_MOLLUSC} Gastropoda Stylommatophora Helicidae Cepaea nemoralis",
        "Banded Wood Snail",
        40,
        molluscs.banded_wood_snail,
        14,
    ),
    _species(
        f"{_REPTILE} Squamata Lacertidae Lacerta viridis", "European Green Lizard", 38, reptiles.green_lizard, 180
    ),
    _species(f"{_BIRD} Coraciiformes Alcedinidae Alcedo atthis", "Common Kingfisher", 35, birds.common_kingfisher, 12),
    _species(f"{_DICOT} Fagales Fagaceae Quercus robur", "English Oak", 32, plants.english_oak, 180),
    _species(
        f"{_INSECT} Hymenoptera Apidae Bombus terrestris",
        "Buff-tailed Bumblebee",
        29,
        insects.buff_tailed_bumblebee,
        180,
    ),
    _species(f"{_SPIDER} Araneae Araneidae Argiope bruennichi", "", 26, arachnids.wasp_spider, 180),
    _species(
        f"{_REPTILE} Squamata Colubridae Lampropeltis triangulum",
        "Eastern Milksnake",
        24,
        reptiles.eastern_milksnake,
        180,
    ),
    _species(f"{_DICOT} Sapindales Sapindaceae Acer palmatum", "Japanese Maple", 22, plants.japanese_maple, 180),
    _species(f"{_BIRD} Strigiformes Strigidae Bubo scandiacus", "Snowy Owl", 20, birds.snowy_owl, 10),
    _species(
        f"{_MOLLUSC} Bivalvia Pectinida Pectinidae Pecten maximus", "King Scallop", 18, molluscs.king_scallop, 180
    ),
    _species(
        "Fungi Ascomycota Pezizomycetes Pezizales Morchellaceae Morchella esculenta", "Morel", 16, fungi.morel, 12
    ),
    _species(
        "Plantae Tracheophyta Ginkgoopsida Ginkgoales Ginkgoaceae Ginkgo biloba", "Ginkgo", 15, plants.ginkgo, 180
    ),
    _species(f"{_INSECT} Lepidoptera Pieridae Pieris brassicae", "White Butterfly", 14, insects.white_butterfly, 180),
    _species(
        f"{_SPIDER} Scorpiones Scorpionidae Pandinus imperator", "Emperor Scorpion", 13, arachnids.emperor_scorpion, 180
    ),
    _species(f"{_MOLLUSC} Cephalopoda Nautilida Nautilidae Nautilus pompilius", "", 12, molluscs.emperor_nautilus, 25),
    _species(
        f"{_BIRD} Phoenicopteriformes Phoenicopteridae Phoenicopterus roseus",
        "Greater Flamingo",
        11,
        birds.greater_flamingo,
        8,
    ),
    _species(
        f"{_REPTILE} Testudines Testudinidae Testudo hermanni", "Hermann's Tortoise", 10, reptiles.hermanns_tortoise, 12
    ),
    _species(f"{_MUSHROOM} Cantharellales Hydnaceae Cantharellus cibarius", "Chanterelle", 9, fungi.chanterelle, 12),
    _species(f"{_SPIDER} Araneae Theridiidae Latrodectus mactans", "Black Widow Spider", 6, arachnids.black_widow, 180),
    _species(f"{_INSECT} Odonata Aeshnidae Anax imperator", "Emperor Dragonfly", 3, insects.emperor_dragonfly, 180),
    _species(
        "Animalia Chordata Amphibia Caudata Salamandridae Salamandra salamandra",
        "European Fire Salamander",
        22,
        reptiles.fire_salamander,
        180,
    ),
    _species(
        "Animalia Chordata Mammalia Eulipotyphla Erinaceidae Erinaceus europaeus",
        "Western European Hedgehog",
        14,
        reptiles.western_hedgehog,
        10,
    ),
)
