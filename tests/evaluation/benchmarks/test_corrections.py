"""Corrections of class names: each changes a published name, says why and merges nothing."""

import pytest

from evaluation.benchmarks.corrections import ANY_LEVEL, corrections, corrections_of
from evaluation.benchmarks.registry import REGISTRY, names, open_benchmark
from evaluation.benchmarks.tasks import make_task


def test_every_correction_changes_something_and_says_why():
    for name, level, old, new, reason in corrections():
        assert old != new
        assert len(reason) > 5
        assert new == " ".join(new.split())
        assert level in (*REGISTRY[name].levels, ANY_LEVEL)
    olds = [correction[:3] for correction in corrections()]
    assert len(set(olds)) == len(olds)


def test_each_benchmark_has_its_own():
    assert sum(len(corrections_of(name)) for name in names()) == len(corrections())
    assert corrections_of("confounding") == (("*", "Harmonia axyridies", "Harmonia axyridis"),)
    assert corrections_of("deepweeds") == ()


@pytest.mark.parametrize("name", ["biotrove_unseen", "bioclip_rare", "confounding", "insects2"])
def test_every_correction_is_of_a_name_in_the_published_file(name, shared):
    benchmark = open_benchmark(name, None, shared / "data" / "benchmarks")
    changed = [
        (benchmark.headline if level == ANY_LEVEL else level, old, new) for level, old, new in benchmark.corrections
    ]
    for of_level in {level for level, _, _ in changed}:
        published, fixed = (make_task(benchmark, of_level, one).class_names for one in ("published", "fixed"))
        for old, new in [(old, new) for level, old, new in changed if level == of_level]:
            assert old in published
            assert old not in fixed
            assert any(new in class_name for class_name in fixed)


def test_no_correction_merges_classes_of_insects2(shared):
    benchmark = open_benchmark("insects2", None, shared / "data" / "benchmarks")
    published, fixed = (make_task(benchmark, "label", one) for one in ("published", "fixed"))
    assert (published.class_R == fixed.class_R).all()
