"""The comparison of two methods over seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ecseq.metrics._checks import pair


class PairedDifference(NamedTuple):
    """Mean and standard deviation of a paired difference, with its 95 % interval."""

    mean: float
    sd: float
    low: float
    high: float


def paired_difference(a: ArrayLike, b: ArrayLike) -> PairedDifference:
    """Mean, standard deviation and 95 % Student interval of ``a - b`` over the same seeds.

    Parameters
    ----------
    a, b : arrays [seeds]
        One figure per seed, in the same order; at least two.

    Raises
    ------
    ValueError
        For shapes that differ, fewer than two seeds or figures that are not finite.

    Examples
    --------
    >>> paired_difference([0.8, 0.9], [0.7, 0.8]).mean.__round__(3)
    0.1
    """
    from scipy.special import stdtrit  # the other metrics do without SciPy

    first, second = pair(a, b, ("a", "b"))
    if first.ndim != 1 or len(first) < 2:
        raise ValueError(f"a: expected one figure for each of two or more seeds, got {first.shape}")
    difference = first - second
    n = len(difference)
    mean = float(np.mean(difference))
    sd = float(np.std(difference, ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * sd / float(np.sqrt(n))
    return PairedDifference(mean, sd, mean - half, mean + half)
