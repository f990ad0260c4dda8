"""Packages that a command needs: a missing one is named with its extra, a broken import is not hidden."""

import tomllib
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError
from taxonomy.needed import OWN, needed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module that imports another one; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(imported: str) -> str:
        name = f"asks_for_{imported.replace('.', '_')}"
        (tmp_path / f"{name}.py").write_text(f"import {imported}\n")
        return name

    return write


def test_all_packages_of_the_project_are_its_own():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert {name.partition(".")[0] for name in settings["packages"] + settings["py-modules"]} == OWN


def test_a_missing_package_is_named_with_who_needs_it_and_its_extra(module):
    with pytest.raises(BadInputError) as caught:
        needed(module("not_on_this_machine"), "taxaflow embed", "eval")
    assert str(caught.value) == ("taxaflow embed needs the package not_on_this_machine: pip install 'taxaflow[eval]'")


@pytest.mark.parametrize("package", sorted(OWN))
def test_a_broken_import_of_our_own_is_no_missing_package(package, module):
    with pytest.raises(ModuleNotFoundError):
        needed(module(f"{package}.not_there"), "x", "eval")


def test_a_module_that_is_there_is_given():
    assert needed("taxonomy.errors", "x", "eval").BadInputError is BadInputError
