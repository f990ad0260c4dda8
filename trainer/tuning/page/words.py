"""What the page of a search says in words: its heading, its counts, and whether the best trial is any better."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.report import words

SIGNIFICANT = 0.05
"""Below it the page says that chance alone hardly explains a difference. Source: convention."""

MOST_CHARACTERS = 2000
"""Of a reason; the whole of it is in the trial's own log."""

_FIRST_CHARACTERS = 140
"""Of a reason, shown at once."""

STATUSES: Mapping[str, str] = {
    "ok": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "running",
}

Trial = Mapping[str, Any]


def setting(name: str, value: float | None) -> str:
    """A setting with three digits that count: of a beta near 1, those of its distance to 1."""
    if value is None:
        return words.NOTHING
    if name.startswith("beta") and 0.9 < value < 1:
        return _short(1 - float(f"{1 - value:.2e}"), 9)
    return _short(value, 3)


def _short(value: float, digits: int) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def percent(value: float | None) -> str:
    """A share in percent with one decimal."""
    return words.NOTHING if value is None else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """`48 s`, `12 min`, `3 h 5 min`."""
    if seconds is None:
        return words.NOTHING
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"


def reason(text: object) -> str:
    """A reason as one readable line, shortened where it is very long."""
    shown = str(text or "").encode(errors="replace").decode()
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in shown).split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS].rstrip()} \N{HORIZONTAL ELLIPSIS}"


def first_part(text: str) -> tuple[str, str]:
    """A reason as what is shown at once, and the rest: empty if it is short."""
    if len(text) <= _FIRST_CHARACTERS * 1.25:
        return text, ""
    end = text.rfind(" ", 0, _FIRST_CHARACTERS)
    end = end if end > 0 else _FIRST_CHARACTERS
    return text[:end], text[end:].strip()


def counts(trials: Sequence[Trial]) -> str:
    """`17 finished, 2 stopped early and 1 failed`."""
    numbers = {said: sum(trial["status"] == status for trial in trials) for status, said in STATUSES.items()}
    return words.and_list([f"{number:,} {said}" for said, number in numbers.items() if number])


def heading(trials: Sequence[Trial], best: Trial | None, default: Trial | None) -> str:
    """What came out, in one line."""
    number = f"{len(trials):,} trial{'' if len(trials) == 1 else 's'}"
    if best is None:
        return f"{number}, none trained to the end"
    if best is default:
        return f"{number}: the best is the default, with {percent(best['metric'])}"
    than = f", default {percent(default['metric'])}" if default else ""
    return f"{number}: the best has {percent(best['metric'])}{than}"


def verdict(best: Trial | None, default: Trial | None, comparison: Mapping[str, Any] | None) -> str:
    """Whether the best trial's recipe is better than the default on test, and whether that could be chance."""
    if best is None:
        return "There is no best trial: none was trained to the end."
    if best is default:
        others = "no other that was trained to the end did better on validation"
        return f"The best trial is the default itself: {others}, so nothing is compared."
    if comparison is None:
        return f"Trial {best['trial']} is the best on validation. It has not been compared with the default on test."
    top1, p_value = comparison["top1"], comparison["p_value"]
    if top1["value"] is None or p_value is None:
        return "There was no test picture to compare the best trial with the default on."
    told = _difference(best["trial"], top1, comparison["num_images"])
    return f"{told} {_chance(top1, p_value)}"


def _difference(trial: int, top1: Mapping[str, float | None], num_images: int) -> str:
    value = words.points(top1["value"])
    if value == "0.0":
        told = f"is as good as the default: a difference of {value} percentage points"
    else:
        better = "better" if (top1["value"] or 0) > 0 else "worse"
        told = f"is {value.lstrip('+' + chr(0x2212))} percentage points {better} than the default"
    interval = words.points_interval(top1)
    around = f" (95 % interval {interval})" if interval else ""
    pictures = f"{words.number(num_images)} test picture{'' if num_images == 1 else 's'}"
    return f"On {pictures}, trial {trial} {told}{around}."


def _chance(top1: Mapping[str, float | None], p_value: float) -> str:
    said = f"p {words.probability(p_value)}" if p_value < 1e-4 else f"p = {words.probability(p_value)}"
    low, high = top1["low"], top1["high"]
    leaves_out_0 = low is not None and high is not None and (low > 0 or high < 0)
    if p_value >= SIGNIFICANT or not leaves_out_0:
        return f"Chance alone could explain this ({said})."
    ending = "" if (top1["value"] or 0) > 0 else " What did best on validation does worse here: keep the default."
    return f"Chance alone hardly explains this ({said}).{ending}"
