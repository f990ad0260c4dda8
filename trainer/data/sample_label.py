"""What a sample's JSON member says of it: the record, and the number that pairs of one taxon share."""

import json
from collections.abc import Mapping

from taxonomy.ranks import clean
from trainer.data.bad_samples import BadSample
from trainer.data.draws import hash_text


def record_of(member: bytes) -> dict[str, object]:
    """The JSON member's object.

    Raises:
        BadSample: bad_json.
    """
    try:
        record = json.loads(member)
    except ValueError as error:
        raise BadSample("bad_json") from error
    if not isinstance(record, dict):
        raise BadSample("bad_json")
    return record


def taxon_of(record: Mapping[str, object], texts: Mapping[str, str]) -> int | None:
    """`taxon_id` of the record, else a hash of the taxonomic or scientific name; None where there is neither.

    Args:
        record: the JSON; empty where there is none.
        texts: kind -> caption.
    """
    taxon = record.get("taxon_id")
    if isinstance(taxon, int) and not isinstance(taxon, bool) and -(2**63) <= taxon < 2**63:
        return taxon
    names = (taxon, record.get("taxonomic_name"), texts.get("taxonomic_name"), texts.get("sci"))
    for name in names:
        cleaned = clean(str(name)) if name is not None else None
        if cleaned:
            return hash_text(cleaned.removesuffix("."))
    return None
