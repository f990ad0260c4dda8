"""Which caption a pair gets: by weight over the kinds it has, one fixed kind, or one kind per step."""

from collections import Counter

import pytest

from taxonomy.captions import CAPTION_KINDS
from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import photo
from trainer.data.bad_samples import BadSample
from trainer.data.caption_choice import (
    ONLY_TEXT,
    PUBLISHED_KINDS,
    CaptionPolicy,
    choose,
    kind_of_step,
    kind_of_suffix,
    texts_of_sample,
)
from trainer.data.draws import generator

TEN = {kind: f"text of {kind}" for kind in CAPTION_KINDS}
UNNAMED = {kind: text for kind, text in TEN.items() if "com" not in kind}
DRAWS = 4000


def drawn(policy: CaptionPolicy, texts: dict[str, str]) -> Counter[str]:
    chosen = [choose(policy, texts, generator(0, 0, place, "pair")) for place in range(DRAWS)]
    assert all(texts[kind] == text for kind, text in chosen)
    return Counter(kind for kind, _ in chosen)


def chi_square(counts: Counter[str], weights: dict[str, float]) -> float:
    total = sum(weights.values())
    return sum((counts[kind] - DRAWS * w / total) ** 2 / (DRAWS * w / total) for kind, w in weights.items())


def test_all_ten_kinds_are_equally_likely():
    counts = drawn(CaptionPolicy.every_kind(), TEN)
    assert set(counts) == set(CAPTION_KINDS)
    assert chi_square(counts, dict.fromkeys(CAPTION_KINDS, 1.0)) < 27.9  # 9 degrees of freedom, 1 in 1,000


def test_kinds_follow_their_weights():
    weights = {"sci": 1.0, "taxonTag": 2.0, "com": 5.0}
    counts = drawn(CaptionPolicy.weighted(weights), TEN)
    assert set(counts) == set(weights)
    assert chi_square(counts, weights) < 13.8  # 2 degrees of freedom


def test_weights_of_the_kinds_present_count_alone_where_a_name_is_missing():
    counts = drawn(CaptionPolicy.weighted({"com": 5, "sci": 1, "sci_com": 7, "taxonTag": 2}), UNNAMED)
    assert set(counts) == {"sci", "taxonTag"}
    assert chi_square(counts, {"sci": 1.0, "taxonTag": 2.0}) < 10.8  # 1 degree of freedom


def test_a_fixed_kind_is_never_replaced_by_another():
    assert choose(CaptionPolicy.fixed("com"), TEN, generator(0, 0, 0, "pair")) == ("com", TEN["com"])
    with pytest.raises(BadSample, match="no_caption"):
        choose(CaptionPolicy.fixed("com"), UNNAMED, generator(0, 0, 0, "pair"))


def test_published_kinds_are_one_per_step_and_evenly_drawn():
    policy = CaptionPolicy.published()
    kinds = [kind_of_step(policy, 3, step) for step in range(DRAWS)]
    assert set(kinds) == set(PUBLISHED_KINDS)
    assert chi_square(Counter(str(kind) for kind in kinds), dict.fromkeys(PUBLISHED_KINDS, 1.0)) < 18.5
    assert kinds != [kind_of_step(policy, 4, step) for step in range(DRAWS)]
    assert kind_of_step(CaptionPolicy.every_kind(), 3, 0) is None


def test_published_pairs_without_a_name_take_the_text_that_published_shards_hold():
    policy = CaptionPolicy.published()
    assert choose(policy, TEN, generator(0, 0, 0, "pair"), "com") == ("com", TEN["com"])
    assert choose(policy, UNNAMED, generator(0, 0, 0, "pair"), "com") == ("com", TEN["sci"])
    assert choose(policy, UNNAMED, generator(0, 0, 0, "pair"), "taxon_com") == ("taxon_com", TEN["taxon"])
    with pytest.raises(BadSample, match="no_caption"):
        choose(policy, {"common_name": "x."}, generator(0, 0, 0, "pair"), "sci")


@pytest.mark.parametrize("policy", [CaptionPolicy.every_kind(), CaptionPolicy.fixed("sci")])
def test_a_choice_takes_one_number_so_that_crops_do_not_depend_on_captions(policy: CaptionPolicy):
    used, unused = generator(0, 0, 5, "pair"), generator(0, 0, 5, "pair")
    choose(policy, TEN, used)
    assert used.random() == unused.random(2)[1]


@pytest.mark.parametrize(
    "kinds, weights", [((), ()), (("sci", "sci"), (1.0, 1.0)), (("sci",), (0.0,)), (("sci",), ()), (("latin",), (1.0,))]
)
def test_bad_policies_are_refused_by_the_flags_name(kinds: tuple[str, ...], weights: tuple[float, ...]):
    with pytest.raises(BadInputError, match="--caption-kinds"):
        CaptionPolicy(kinds, weights)


def test_captions_are_made_from_the_json():
    texts = texts_of_sample(photo(0), {"sci.txt": "not this"})
    assert list(texts) == list(CAPTION_KINDS)
    assert texts["sci_com"] == "a photo of Genus0 epithet0 with common name name 0."
    assert texts["taxonTag"] == "a photo of kingdom Animalia genus Genus0 species epithet0."


@pytest.mark.parametrize("missing", [None, "", " ", "nan", "None", "NULL", "n/a", "unknown"])
def test_missing_words_never_reach_a_caption(missing: str | None):
    texts = texts_of_sample(photo(0, common_name=missing, genus=missing))
    assert not any("com" in kind for kind in texts)
    assert texts["taxon"] == "a photo of Animalia epithet0."
    assert not any("  " in text or (missing or "nan") in text.split() for text in texts.values() if missing)


def test_text_members_stand_in_where_the_json_has_no_names():
    members = {"sci.txt": "a photo of A b.", "taxontag_com.txt": " t ", "com.txt": "nan", "json": "{}", "txt": "plain"}
    assert texts_of_sample({"photo_id": 1, "text": "This is"}, members) == {
        "sci": "a photo of A b.",
        "taxonTag_com": "t",
        ONLY_TEXT: "plain",
    }


def test_suffixes_are_compared_in_lower_case():
    for kind in CAPTION_KINDS:
        assert kind_of_suffix(f"{kind}.txt") == kind_of_suffix(f"{kind}.TXT".lower()) == kind
    assert kind_of_suffix("jpg") is None and kind_of_suffix("sci.json") is None
