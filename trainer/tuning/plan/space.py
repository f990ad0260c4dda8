"""What is searched, and the settings of each trial: a function of the seed and the trial's number alone.

So a search of 20 trials begins with the trials of one of 5, and a restarted one has the trials it had before.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.settings.option import flag_of
from taxonomy.errors import BadInputError
from trainer.tuning.config import TuneConfig

Settings = dict[str, float]

NAMES = ("lr", "beta1", "beta2", "wd")
DEFAULT_TRIAL = 0
"""The trial that has the recipe's own values."""

FACTOR = 10.0
"""lr is searched from the recipe's by this factor down to by this factor up: the published grid, {2, 3, 4}e-4, is so
narrow that the published optimum, 5e-4, lies outside. Source: BioTrove src/training/tune.py and README."""

_DIGITS = 4


@dataclass(frozen=True)
class Space:
    """Ranges of the settings and the default.

    The ranges of the betas hold the published 0.98 and 0.99, the trainer's usual 0.9 and 0.98, torch's 0.9 and 0.999,
    and the published grid {0.8, 0.9, 0.99}; that of weight decay the published 4e-4 and open_clip's default, 0.2.
    Source: BioTrove README and src/training/tune.py; open_clip 2.16 training/params.py. Drawn at random, as a grid
    would try few values of what matters most. Source: Bergstra and Bengio, JMLR 13, 2012.

    Attributes:
        default: setting -> the recipe's own value.
        ranges: setting -> (low, high), evenly in its logarithm; in that of 1 - beta for a beta.
    """

    default: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]

    def trial(self, number: int, seed: int) -> Settings:
        """The settings of a trial; those of trial 0 are the default."""
        if number == DEFAULT_TRIAL:
            return {name: float(self.default[name]) for name in NAMES}
        return {name: _drawn(name, *self.ranges[name], _unit(f"{seed}/{number}/{name}")) for name in NAMES}


def make_space(config: TuneConfig, default: Mapping[str, float]) -> Space:
    """The space that the flags and the recipe's values give.

    Raises:
        BadInputError: a range is empty, or a value in it cannot be a setting.
    """
    lr = default["lr"]
    ranges = {name: (getattr(config, f"{name}_low"), getattr(config, f"{name}_high")) for name in NAMES}
    low, high = ranges["lr"]
    ranges["lr"] = (lr / FACTOR if low is None else low, lr * FACTOR if high is None else high)
    for name, (low, high) in ranges.items():
        _check(name, low, high)
    return Space({name: default[name] for name in NAMES}, ranges)


def _check(name: str, low: float, high: float) -> None:
    flags = f"{flag_of(name + '_low')} {low:g} {flag_of(name + '_high')} {high:g}"
    is_beta = name.startswith("beta")
    if not (0 <= low < 1 and 0 <= high < 1 if is_beta else 0 < low < math.inf and 0 < high < math.inf):
        raise BadInputError(f"{flags}: both must be {'at least 0 and below 1' if is_beta else 'above 0'}")
    if low > high:
        raise BadInputError(f"{flags}: the low end is above the high one")


def _unit(name: str) -> float:
    """A number in [0, 1) of its own for every name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _drawn(name: str, low: float, high: float, unit: float) -> float:
    """The value so far between the ends in the logarithm, with few digits, as it is typed."""
    if name.startswith("beta"):
        value = 1 - _rounded((1 - high) * ((1 - low) / (1 - high)) ** unit)
        value = round(value, 9)
    else:
        value = _rounded(low * (high / low) ** unit)
    return min(max(value, low), high)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS - 1}e}")
