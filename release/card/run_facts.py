"""What a model card says of the training that made the model."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Difference:
    """A setting of the run that is another than in what it is compared with; values in words.

    Attributes:
        name: the flag's, with _ for -.
        here: of the run.
        there: of what it is compared with.
    """

    name: str
    here: str
    there: str


@dataclass(frozen=True)
class TrainingLog:
    """What train.jsonl says up to the checkpoint's step.

    Attributes:
        first_step, first_loss: of the first line with a loss.
        last_step, last_loss: of the last line with a loss.
        images_per_s: median over the lines.
        captions: kind -> pairs.
        bad_samples: reason -> samples.
        skipped_steps: bad steps.
        resumes: steps from which the run went on after a stop.
        is_done: the run reached its last step, and this checkpoint is of it.
        later_steps: how far the log goes on behind the checkpoint.
        num_unreadable_lines: torn or foreign ones.
        evaluation_step: of the last evaluation.
        evaluation: its figures by the names that the run gave them.
    """

    first_step: int | None = None
    first_loss: float | None = None
    last_step: int | None = None
    last_loss: float | None = None
    images_per_s: float | None = None
    captions: Mapping[str, int] = field(default_factory=dict)
    bad_samples: Mapping[str, int] = field(default_factory=dict)
    skipped_steps: int = 0
    resumes: tuple[int, ...] = ()
    is_done: bool = False
    later_steps: int = 0
    num_unreadable_lines: int = 0
    evaluation_step: int | None = None
    evaluation: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """A training run up to one checkpoint; None where there is no record.

    Attributes:
        name: of the run.
        recipe: a built-in one by its name, an own one by its file's name; None without one.
        is_built_in: whether the recipe comes with the project.
        from_recipe: where the run differs from its built-in recipe.
        published_recipe: the published one that it is compared with.
        from_published: where it differs from what is published of that; values that are not published are left out.
        settings: those that shape what is learnt, in words.
        step: optimizer steps.
        epoch: whole passes over the data.
        samples_seen: pictures, of all ranks.
        num_ranks: processes.
        data_sha256: what the run's data loader calls its list of shards.
        log: of train.jsonl.
    """

    name: str | None = None
    recipe: str | None = None
    is_built_in: bool = False
    from_recipe: tuple[Difference, ...] = ()
    published_recipe: str = ""
    from_published: tuple[Difference, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None
    samples_seen: int | None = None
    num_ranks: int | None = None
    data_sha256: str | None = None
    log: TrainingLog | None = None
