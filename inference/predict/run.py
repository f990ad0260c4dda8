"""Pictures named as the config says: the model, the labels' embeddings, then one batch of pictures after the other."""

import sys
from collections import Counter
from pathlib import Path

from evaluation.encoding.encoder import OpenClipEncoder
from inference.inputs.input_settings import FAST
from inference.label_embeddings.embed_labels import LabelEmbeddings, embed_labels, read_label_embeddings
from inference.open_model import open_model
from inference.predict.config import MOST_LOGIT_SCALE, PredictConfig
from inference.predict.predictor import Predictor, Question
from inference.predict.question import OpenQuestion
from inference.predict.row_files import row_file
from inference.predict.rows import Row, Rows
from inference.predict.scores import Candidates
from inference.stream import EmbeddedBatch, embedded
from taxonomy.errors import BadInputError, WorkFailedError

_REASONS_SHOWN = 3


def run(config: PredictConfig, question: OpenQuestion) -> None:
    """Answer it; the last line on stderr says how many pictures were named, and why others were not.

    Raises:
        BadInputError: the model cannot be used, or the embeddings of the labels are another model's.
        WorkFailedError: not one picture could be read, or the output could not be written.
    """
    encoder = open_model(config, config.resize == FAST)
    scale = _scale(config, encoder)
    labels = _embeddings(config, question, encoder)
    groups = question.labels.groups
    predictor = Predictor(
        Candidates(labels.label_CD, question.number_S),
        groups,
        scale,
        Question(config.rank, config.guesses, config.min_confidence),
    )
    answers = _Answers(predictor, Rows(question.labels.labels, groups), config.min_confidence)
    pictures = question.pictures
    batches = embedded(pictures, encoder, config.batch_size, config.workers, pictures.name, pictures.total)
    with row_file(config.out_path, config.out_format) as write:
        for batch in batches:
            write(answers.rows(batch))
    answers.report(config.out_path)


def _scale(config: PredictConfig, encoder: OpenClipEncoder) -> float:
    scale = config.logit_scale or encoder.logit_scale
    if not 0 < scale <= MOST_LOGIT_SCALE:
        raise BadInputError(
            f"{config.choice.label}: its logit scale is {scale:g}, where above 0 and at most {MOST_LOGIT_SCALE:g} can "
            f"be used; give --logit-scale"
        )
    return scale


def _embeddings(config: PredictConfig, question: OpenQuestion, encoder: OpenClipEncoder) -> LabelEmbeddings:
    labels = question.labels.labels
    if question.embeddings is None:
        return embed_labels(labels, question.prompt_set, encoder, config.label_cache, "labels")
    found = read_label_embeddings(question.embeddings, labels)
    name = config.choice.label
    if found.about["model_hash"] != encoder.hash:
        raise BadInputError(f"{question.embeddings}: embeddings of another model than {name}; give the list itself")
    if found.about["activation"] != encoder.facts.activation:  # precision moves embeddings by little
        raise BadInputError(
            f"{question.embeddings}: embedded with {found.about['activation']}, but {name} is of "
            f"{encoder.facts.activation}; give the same --activation, or the list itself"
        )
    return found


class _Answers:
    """Rows of batches, and the count of what became of the pictures."""

    def __init__(self, predictor: Predictor, rows: Rows, min_confidence: float | None):
        self._predictor, self._rows, self._least = predictor, rows, min_confidence
        self._num_read, self._num_unsure = 0, 0
        self._reasons: Counter[str] = Counter()

    def rows(self, batch: EmbeddedBatch) -> list[Row]:
        """The rows of a batch, in the order of its pictures."""
        of_number: dict[int, list[Row]] = {}
        guesses = self._predictor.answers(batch.image_ND)
        for number, found in zip(batch.index_N, guesses, strict=True):
            of_number[number] = list(self._rows.guessed(batch.keys[number], found)) or [self._unsure(batch, number)]
        for number, reason in batch.failures:
            of_number[number] = [self._rows.without_guess(batch.keys[number], reason)]
            self._reasons[reason] += 1
        self._num_read += len(batch.index_N)
        return [row for number in sorted(of_number) for row in of_number[number]]

    def _unsure(self, batch: EmbeddedBatch, number: int) -> Row:
        self._num_unsure += 1
        return self._rows.without_guess(batch.keys[number], f"no rank reaches a probability of {self._least:g}")

    def report(self, out: Path | None) -> None:
        """Say what became of the pictures.

        Raises:
            WorkFailedError: not one could be read.
        """
        num_lost = self._reasons.total()
        why = ", ".join(f"{count:,} x {reason}" for reason, count in self._reasons.most_common(_REASONS_SHOWN))
        why += ", ..." if len(self._reasons) > _REASONS_SHOWN else ""
        if not self._num_read:
            raise WorkFailedError(f"not one of {num_lost:,} pictures could be read: {why}")
        unsure = f"; {self._num_unsure:,} too unsure for any rank" if self._num_unsure else ""
        lost = f"; {num_lost:,} could not be read: {why}" if num_lost else ""
        where = f"; see {out}" if out is not None else ""
        num_named, num_all = self._num_read - self._num_unsure, self._num_read + num_lost
        print(f"named {num_named:,} of {num_all:,} pictures{unsure}{lost}{where}", file=sys.stderr)
