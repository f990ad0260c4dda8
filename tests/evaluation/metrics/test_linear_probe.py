"""The linear probe equals scikit-learn's pipeline on the same splits."""

import json
import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evaluation.metrics import linear_probe as module
from evaluation.metrics.linear_probe import linear_probe, predict
from evaluation.metrics.splits import deal, make_split
from tests.evaluation.metrics.test_few_shot import clusters


@pytest.fixture(scope="module")
def pictures():
    image_ND, class_N, keys = clusters(5, 12, 8, noise=1.2)
    return image_ND * np.arange(1, 9, dtype=np.float32), class_N, keys  # unlike scales: standardising matters


def fitted(image_ND, class_N, learnt, asked):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    return float(pipeline.fit(image_ND[learnt].astype(float), class_N[learnt]).score(image_ND[asked], class_N[asked]))


def test_both_parts_equal_scikit_learns_pipeline_on_the_same_splits(pictures):
    image_ND, class_N, keys = pictures
    split = make_split(class_N, keys, (5,))
    found = linear_probe(image_ND, split)
    few = [fitted(image_ND, class_N, split.support(fold, 5), split.queries(fold, 5)) for fold in range(5)]
    fold_N = deal(class_N, keys, 5)
    most = [fitted(image_ND, class_N, np.flatnonzero(fold_N != f), np.flatnonzero(fold_N == f)) for f in range(5)]
    assert found["few_shot"]["top1"]["folds"] == pytest.approx(few)
    assert found["stratified"]["top1"]["folds"] == pytest.approx(most)
    assert 0.2 < np.mean(few) < 1 and 0.2 < np.mean(most) < 1  # neither blind nor trivial
    assert found["split_sha256"] == split.sha256
    json.dumps(found, allow_nan=False)


def test_shots_and_folds_are_those_asked_for(pictures):
    image_ND, class_N, keys = pictures
    split = make_split(class_N, keys, (1, 5), folds=3)
    found = linear_probe(image_ND, split, k=1)
    assert (found["k"], found["split_sha256"]) == (1, split.sha256)
    few = [fitted(image_ND, class_N, split.support(fold, 1), split.queries(fold, 1)) for fold in range(3)]
    assert found["few_shot"]["top1"]["folds"] == pytest.approx(few)
    assert len(found["stratified"]["top1"]["folds"]) == 3


def test_the_scale_of_an_embedding_has_no_say(pictures):
    image_ND, class_N, keys = pictures
    other = image_ND * np.float32(64) - 3
    split = make_split(class_N, keys)
    assert linear_probe(other, split)["few_shot"] == linear_probe(image_ND, split)["few_shot"]


def test_stratified_folds_need_ten_pictures_of_every_class_and_two_classes(pictures):
    image_ND, class_N, keys = pictures
    rows = np.delete(np.arange(len(keys)), np.flatnonzero(class_N == 2)[:3])  # nine left
    found = linear_probe(image_ND[rows], make_split(class_N[rows], [keys[row] for row in rows]))
    assert found["stratified"] is None and found["few_shot"]["num_classes"] == 5
    rows = np.flatnonzero(class_N == 2)
    alone = linear_probe(image_ND[rows], make_split(class_N[rows], [keys[row] for row in rows]))
    assert alone["stratified"] is None and alone["few_shot"]["top1"]["mean"] is None, "one class alone is no choice"
    nothing = linear_probe(image_ND[:0], make_split(class_N[:0], []))
    assert nothing["stratified"] is None and nothing["few_shot"]["top1"]["mean"] is None


def test_a_regression_that_did_not_converge_is_told_in_one_line(pictures, monkeypatch, caplog):
    image_ND, class_N, _ = pictures
    monkeypatch.setattr(module, "_MAX_ITERATIONS", 1)
    with caplog.at_level(logging.WARNING):
        predict(image_ND, np.arange(40), class_N[:40], np.arange(40, 60))
    assert [record.message for record in caplog.records] == ["linear probe: not converged after 1 iterations"]
