"""What a model is known not to do, derived from its facts: every sentence stands on a recorded number."""

from collections.abc import Iterable, Iterator

from evaluation.report import words
from release.card.card_facts import CardFacts
from release.card.data_facts import TRAIN, SplitRecord
from release.card.result_facts import Measured

WIDE_POINTS = 10
"""Of a 95 % interval from end to end, percentage points, above which a card calls it wide."""

CALIBRATION_POINTS = 5
"""Of ECE, percentage points, from which on a card warns of the confidences."""


def limits(facts: CardFacts) -> list[str]:
    """One sentence or two for each limit; at least one."""
    headlines = [one for one in facts.results if one.headline]
    return [
        *_about_the_run(facts),
        *_about_the_choice(facts),
        *_about_activation(facts),
        *_about_classes(facts),
        *_about_overlap(facts),
        *_about_levels(facts.results),
        *_about_the_weakest_level(facts.results),
        *_about_few_images(headlines),
        *_about_confidence(headlines),
        *_about_missing_pictures(headlines),
        *_about_no_results(facts),
    ]


def name_of(one: Measured) -> str:
    """`fungi (label)`, and what else tells it from other results of the benchmark."""
    extras = [words.level(one.taxon), *([f"{one.class_list} list"] if one.class_list != "published" else [])]
    return f"{one.title} ({', '.join([*extras, one.protocol])})"


def _about_the_run(facts: CardFacts) -> Iterator[str]:
    run = facts.run
    if run is None:
        yield "No record of its training came with it: what it learnt from, and how, is not known here."
        return
    log = run.log
    if log is None:
        yield "The log of its training did not come with it."
        return
    if not log.is_done:
        after = f"; the run went on for {words.number(log.later_steps)} steps" if log.later_steps else ""
        yield f"It is of a run that had not ended when it was saved, at step {words.number(run.step)}{after}."
    if log.skipped_steps:
        yield f"{words.number(log.skipped_steps)} steps with a loss or gradient that was no good number were skipped."
    if log.num_unreadable_lines:
        yield f"{words.number(log.num_unreadable_lines)} lines of the training log cannot be read and are left out."


def _about_the_choice(facts: CardFacts) -> Iterator[str]:
    made = facts.interpolated
    if made is not None and made.flatters is not None:
        yield f"Of the points between {made.from_model} and {made.to_model}: {made.flatters}."


def _about_no_results(facts: CardFacts) -> Iterator[str]:
    if facts.results:
        return
    others = ""
    if facts.other_activation:
        names = words.and_list(sorted({one.activation or "no recorded activation" for one in facts.other_activation}))
        others = f"; what was measured of its weights was under {names}, not {facts.model.activation}"
    yield f"It was not evaluated, as far as is recorded{others}: its accuracy is not known."


def _about_activation(facts: CardFacts) -> Iterator[str]:
    model = facts.model
    if "forced" in model.activation_source:
        yield f"It was built with {model.activation} against what its weights say ({model.activation_source})."
    elif model.activation_source.startswith("flag"):
        yield (
            f"Its activation, {model.activation}, was stated by whoever made this folder: the weights themselves do "
            "not tell it."
        )
    here = {_task(one): one for one in facts.results}
    for other in facts.other_activation:
        if other.headline and _task(other) in here:
            own = here[_task(other)]
            yield (
                f"Built with {other.activation} instead of {own.activation}, its top-1 on {name_of(own)} is "
                f"{_percent(other)} instead of {_percent(own)}: load it with the config that comes with it."
            )


def _task(one: Measured) -> tuple[str, ...]:
    return one.benchmark, one.taxon, one.class_list, one.protocol


def _about_classes(facts: CardFacts) -> Iterator[str]:
    data = facts.data
    train = next((split for split in data.splits if split.name == TRAIN), None) if data else None
    if data and data.is_trained_on and train is not None and train.num_species is not None:
        yield (
            f"The training split holds {words.number(train.num_species)} species{_part_seen(facts, train)}. Of others "
            "it may know the words from its start weights, or nothing."
        )
    for one in facts.results:
        unseen = one.num_classes - (one.num_classes_seen or 0)
        if one.headline and one.num_classes_seen is not None and unseen:
            verb = "is" if unseen == 1 else "are"
            yield (
                f"{words.number(unseen)} of the {words.number(one.num_classes)} classes of {name_of(one)} {verb} not "
                "among the names in the training pictures' records."
            )


def _part_seen(facts: CardFacts, train: SplitRecord) -> str:
    """That the run was shorter than its data."""
    seen = facts.run.samples_seen if facts.run else None
    if seen is None or seen >= train.num_pictures:
        return ""
    return f", and the run saw no more than {words.number(seen)} of its {words.number(train.num_pictures)} pictures"


def _about_overlap(facts: CardFacts) -> Iterator[str]:
    names = list(dict.fromkeys(one.benchmark for one in facts.results))
    titles = {one.benchmark: one.title for one in facts.results}
    own = f"shards_{facts.data.dataset}_train" if facts.data else None
    if own in names:
        yield f"{titles[own]} holds the pictures that it was trained on: its figures say nothing about others."
    others = [titles[name] for name in names if name != own]
    if others:
        yield (
            f"Whether pictures of {words.and_list(others)} were among the training pictures is not part of these "
            "records."
        )


def _about_levels(results: Iterable[Measured]) -> Iterator[str]:
    """Levels at which the model is no better than a guess that does not look."""
    for one in results:
        low, majority = one.top1.low, one.majority
        if low is not None and majority is not None and low <= majority and one.num_classes > 1:
            yield (
                f"On {name_of(one)}, {_percent(one)}, it cannot be told from naming the most frequent class each time "
                f"({words.percent(majority)} %)."
            )


def _about_the_weakest_level(results: Iterable[Measured]) -> Iterator[str]:
    """Where a benchmark asks for names at several levels, that at which fewest are right."""
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for one in results:
        if not one.taxon.startswith("rollup_") and one.num_classes > 1 and one.top1.value is not None:
            groups.setdefault((one.benchmark, one.class_list, one.protocol), []).append(one)
    for group in groups.values():
        if len(group) > 1:
            weakest = min(group, key=lambda one: one.top1.value or 0.0)
            yield f"Of {len(group)} levels it is right least often on {name_of(weakest)}: {_percent(weakest)}."


def _about_few_images(headlines: Iterable[Measured]) -> Iterator[str]:
    for one in headlines:
        low, high = one.top1.low, one.top1.high
        if low is not None and high is not None and 100 * (high - low) > WIDE_POINTS:
            yield (
                f"{name_of(one)} has {words.number(one.num_images)} pictures: the interval of its top-1 is "
                f"{100 * (high - low):.1f} percentage points wide."
            )


def _about_confidence(headlines: Iterable[Measured]) -> Iterator[str]:
    for one in headlines:
        ece, confidence, right = one.metrics.get("ece"), one.mean_confidence, one.top1.value
        if ece is None or ece.value is None or 100 * ece.value < CALIBRATION_POINTS:
            continue
        side = ""
        if confidence is not None and right is not None:
            is_over = confidence > right
            side = (
                f": mean confidence {words.percent(confidence)} %, right {words.percent(right)} %, so it is "
                f"{'too sure' if is_over else 'not sure enough'}"
            )
        yield f"Its confidences on {name_of(one)} are off by {words.percent(ece.value)} points on average (ECE){side}."


def _about_missing_pictures(headlines: Iterable[Measured]) -> Iterator[str]:
    for one in headlines:
        left_out = one.num_missing + one.num_unreadable
        if left_out:
            yield (
                f"{words.number(left_out)} pictures of {name_of(one)} were missing or could not be read, and are in no "
                "figure."
            )


def _percent(one: Measured) -> str:
    ends = words.interval({"low": one.top1.low, "high": one.top1.high})
    return f"{words.percent(one.top1.value)} %" + (f" ({ends})" if ends else "")
