"""Samples' records, and the taxon that pairs share."""

import pytest

from trainer.data.bad_samples import BadSample
from trainer.data.draws import hash_text
from trainer.data.sample_label import record_of, taxon_of

pytestmark = pytest.mark.torch


def test_the_taxon_is_the_first_that_is_known():
    texts = {"sci": "a photo of A b.", "taxonomic_name": "Animalia A b."}
    named = {"taxonomic_name": "Animalia A b"}
    assert taxon_of({"taxon_id": -7, **named}, texts) == -7
    assert taxon_of({"taxon_id": "x7"}, texts) == hash_text("x7")
    assert taxon_of({"taxon_id": None, **named}, texts) == taxon_of({}, texts) == hash_text("Animalia A b")
    assert taxon_of({"taxon_id": None}, {"sci": texts["sci"]}) == hash_text("a photo of A b")
    assert taxon_of({"taxon_id": "nan"}, {"com": "a photo of bird."}) is None
    assert -(2**63) <= taxon_of({"taxon_id": 2**70}, {}) < 2**63


def test_taxon_ids_are_signed_64_bits_else_hashes_of_names():
    texts = {"taxonomic_name": "Animalia A b.", "sci": "a photo of A b."}
    for taxon in (0, -(2**63), 2**63 - 1):
        assert taxon_of({"taxon_id": taxon}, texts) == taxon
    for missing in ({}, {"taxon_id": None}, {"taxon_id": "none"}):
        assert taxon_of(missing, texts) == hash_text("Animalia A b")
    assert taxon_of({"taxon_id": 2**63}, texts) == hash_text(str(2**63))
    assert taxon_of({}, {"sci": "a photo of A b."}) == hash_text("a photo of A b")
    assert taxon_of({}, {}) is None


@pytest.mark.parametrize("member", [b"", b"{", b"[]", b"3", b"\xff"])
def test_what_is_no_object_is_a_bad_sample(member: bytes):
    with pytest.raises(BadSample, match="bad_json"):
        record_of(member)
    assert record_of(b'{"a": 1}') == {"a": 1}
