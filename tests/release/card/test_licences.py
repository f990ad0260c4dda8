"""Licence texts are understood as they are meant and no further."""

import dataclasses

import pytest

from release.card.data_facts import DataRecord, LicenceCount
from release.card.licences import has_term, is_public, is_reserved, is_understood, statements

TABLE = {
    "CC0": "public",
    "CC0-1.0": "public",
    "cc 0": "public",
    "CC-Zero": "public",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "public",
    "CC0, no rights reserved": "public",
    "no rights reserved": "public",
    "Public Domain": "public",
    "publicdomain": "public",
    "Public Domain Mark 1.0": "public",
    "http://creativecommons.org/publicdomain/zero/1.0/": "public",
    "https://creativecommons.org/publicdomain/mark/1.0/": "public",
    "PD": "public",
    "PDM 1.0": "public",
    "PDDL": "public",
    "not in the public domain": "",
    "Not public domain": "",
    "no longer in the public domain": "",
    "not CC0": "",
    "CC-BY": "by",
    "CC BY 4.0": "by",
    "CC-BY, some rights reserved": "by",
    "some rights reserved (CC BY)": "by",
    "Attribution 4.0 International": "by",
    "Creative Commons Attribution 3.0 Unported": "by",
    "http://creativecommons.org/licenses/by/4.0/": "by",
    "CC-BY-NC": "by nc",
    "CC-BY-NC-4.0": "by nc",
    "cc_by_nc_4_0": "by nc",
    "CC BY-Non-Commercial": "by nc",
    "CC BY Non Commercial": "by nc",
    "BYNC": "by nc",
    "CC-BYNC": "by nc",
    "ccbync": "by nc",
    "BY-NC 4.0": "by nc",
    "NC4.0": "nc",
    "NC": "nc",
    "CC-NC": "nc",
    "Non-Commercial": "nc",
    "noncommercial": "nc",
    "for non-commercial use": "nc",
    "no commercial use": "nc",
    "not for commercial use": "nc",
    "\uff23\uff23-\uff22\uff39-\uff2e\uff23": "by nc",
    "CC-BY-ND": "by nd",
    "No Derivatives": "nd",
    "NoDerivs": "nd",
    "No-Derivative Works": "nd",
    "CC BY NoDerivatives 4.0": "by nd",
    "CC-BY-SA": "by sa",
    "Share Alike": "sa",
    "ShareAlike": "sa",
    "CC-BY-SA 2.0 DE": "by sa",
    "CC-BY-NC-SA 4.0": "by nc sa",
    "BYNCSA": "by nc sa",
    "Attribution-NonCommercial-ShareAlike 4.0 International": "by nc sa",
    "Creative Commons Attribution-NonCommercial-NoDerivs": "by nc nd",
    "http://creativecommons.org/licenses/by-nc-nd/4.0/": "by nc nd",
    "All rights reserved": "reserved",
    "\u00a9 All Rights Reserved": "reserved",
    "(c) an observer, all rights  reserved": "reserved",
    "rights reserved": "reserved",
    "C": "reserved",
    "\u00a9": "reserved",
    "copyright": "reserved",
    "Photo by Acme SA": "",
    "Photo by Acme SA, all rights reserved": "reserved",
    "not all rights reserved": "",
    "some rights reserved": "",
    "ask the author": "",
    "see the website": "",
    "2024": "",
    "cc-by-nc-nd": "by nc nd",
    "sand license": "",
    "": "",
}
"""Text of a record -> what is known of it."""


@pytest.mark.parametrize("text", TABLE)
def test_a_text_is_understood_as_it_is_meant_and_no_further(text):
    found = [name for name in ("nc", "nd", "sa") if has_term(text, name)]
    found += [name for name, holds in (("public", is_public), ("reserved", is_reserved)) if holds(text)]
    expected = TABLE[text].split()
    assert sorted(found) == sorted(set(expected) - {"by"})
    assert is_understood(text) == bool(expected)


def test_no_text_is_no_licence():
    assert not (is_public(None) or is_reserved(None) or is_understood(None) or has_term(None, "nc"))


def data(**pictures: int) -> DataRecord:
    licences = tuple(LicenceCount(text.replace("_", " "), {"train": count}) for text, count in pictures.items())
    return DataRecord("d", "", "", {}, "", None, (), licences)


def test_texts_that_are_not_understood_are_counted():
    (line,) = [one for one in statements(data(CC0=5, ask_me=2, see_website=1)) if "not understood" in one]
    assert line.startswith("2 texts of licences were not understood: 3 of 8 training pictures (37.5 %)")
    (line,) = statements(data(CC0=5, ask_me=1))
    assert line.startswith("1 text of a licence was not understood: 1 of 6")
    assert statements(data(CC0=5, CC_BY_4=1)) == []


def test_no_right_reserved_is_not_said_to_be_all_rights_reserved():
    free = {"CC0,_no_rights_reserved": 2, "CC-BY,_some_rights_reserved": 3}
    assert statements(data(**free)) == []
    assert statements(dataclasses.replace(data(**free), licences=None)) == []
    assert statements(data(**free, **{"all rights reserved": 5})) == [
        "5 of 10 training pictures (50.0 %) are marked as all rights reserved."
    ]
