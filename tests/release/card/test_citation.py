"""What a card asks to cite: the software as its package describes it, and the paper a model stands on."""

from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest

from release.card.citation import BIOTROVE, references, software
from release.card.run_facts import RunRecord


def test_the_software_is_cited_as_its_package_describes_itself():
    (own,) = references(None, False)
    about = metadata.metadata("taxaflow")
    assert own.title == f"taxaflow: {about['Summary'].rstrip('.')}" and own.venue == "software"
    assert own.note.startswith(f"version {about['Version']}, MIT")
    assert software() == f"taxaflow {about['Version']}"


def test_nothing_of_a_checkout_is_read(monkeypatch):
    """A wheel brings no CITATION.cff, and cites the same."""
    expected, read = references(None, False), Path.read_text

    def without_cff(self, *arguments, **named):
        assert self.name != "CITATION.cff"
        return read(self, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", without_cff)
    assert references(None, False) == expected != ()


def test_an_address_is_named_where_there_is_one(monkeypatch):
    about = Message()
    for name, value in (("Name", "taxaflow"), ("Version", "9"), ("Project-URL", "Homepage, https://example.org/x")):
        about[name] = value
    monkeypatch.setattr(metadata, "metadata", lambda name: about)
    (own,) = references(None, False)
    assert (own.title, own.note) == ("taxaflow", "version 9, https://example.org/x")


def test_without_a_package_there_is_nothing_to_cite(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    monkeypatch.setattr(metadata, "version", missing)
    assert references(None, False) == () and software() == "taxaflow"


@pytest.mark.parametrize(
    ("run", "has_figures", "expected"),
    [
        (RunRecord(recipe="bt-clip-o", is_built_in=True), False, True),
        (RunRecord(recipe="bt-clip-o"), False, False),
        (None, True, True),
    ],
)
def test_the_paper_is_cited_where_a_model_stands_on_it(run, has_figures, expected):
    assert (BIOTROVE in references(run, has_figures)) == expected
