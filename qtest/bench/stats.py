# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures with their intervals, and what they say about a goal.

What differs from run to run is first of all where the linker put the code, so
a run is of one pair of links, and the runs of a part are a sample of all links
that there could be: the interval is that of a bootstrap over runs.
"""
import math
import random
import statistics
from bisect import bisect_left, bisect_right
from collections import namedtuple

CONFIDENCE = 0.95
# Rows of the whole benchmark in which two must not be told apart. One of them would be
# in every third run, if each held in 95 of 100: they hold together in as many.
SAME_ROWS = 9
# That of the normal distribution
NORMAL = 1.96
RESAMPLES = 1000
SEED = 17

Interval = namedtuple('Interval', 'value low high')


def exact(value):
    """A count that is the same each time"""
    return Interval(value, value, value)


def percentile(ordered, percent):
    """Of a sorted list: the least value that so many percent do not exceed."""
    index = -(-len(ordered) * percent // 100) - 1
    return ordered[max(0, int(index))]


class Drawn(namedtuple('Drawn', 'value figures runs')):
    """A figure, and sorted what it is for that many runs, drawn with
    replacement."""

    def interval(self, of=1):
        """Holds in 95 of 100 cases. Of so many intervals, the worst of which is
        looked at, all hold together in as many."""
        outside = 100 * (1 - CONFIDENCE) / of / 2
        return Interval(self.value, *(
            self.wider(percentile(self.figures, percent))
            for percent in (outside, 100 - outside)))

    def wider(self, end):
        """An end of the interval, further off; a ratio's stays above 0."""
        times = widening(self.runs)
        if self.figures[0] > 0:
            return self.value * (end / self.value) ** times
        return self.value + (end - self.value) * times


def widening(runs):
    """Draws from few runs differ by less than runs do: by the root of n / (n - 1),
    and by what Student's t is above the normal distribution, here in its
    expansion. Without it intervals of 8 runs hold in 80 of 100 cases."""
    free, z = max(runs - 1, 1), NORMAL
    student = z + (z ** 3 + z) / (4 * free) + \
        (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * free ** 2)
    return math.sqrt(runs / free) * student / z


def draw(figure, *sides):
    """A figure of sides, lists of runs that have nothing to do with each other"""
    rng = random.Random(SEED)
    return Drawn(figure(*sides), sorted(
        figure(*(rng.choices(runs, k=len(runs)) for runs in sides))
        for _ in range(RESAMPLES)), len(sides[0]))


def bootstrap(runs, of=1):
    """The Interval of the median over runs"""
    return draw(statistics.median, runs).interval(of)


def draw_percentile_ratio(pairs, percent, paired):
    """How a percentile of the second of each pair compares with that of the
    first: sorted lists of values, pooled over the pairs, which are drawn as such
    or not."""
    sides = list(zip(*pairs))
    candidates = [pooled_candidates(side, percent) for side in sides]
    known = {}

    def pooled(which, drawn):
        # Four runs can be drawn in 35 ways only.
        key = which, tuple(sorted(map(id, drawn)))
        if key not in known:
            known[key] = pooled_percentile(drawn, candidates[which], percent)
        return known[key]

    def ratio(first, second):
        return pooled(1, second) / pooled(0, first)
    if paired:
        return draw(lambda drawn: ratio(*zip(*drawn)), pairs)
    return draw(ratio, *sides)


def pooled_candidates(lists, percent):
    """Sorted, the values that a percentile of these lists together can have:
    it lies between the least and the most of their own."""
    own = [percentile(values, percent) for values in lists]
    return sorted(value for values in lists for value in
                  values[bisect_left(values, min(own)):
                         bisect_right(values, max(own))])


def pooled_percentile(lists, candidates, percent):
    """Of all values of these sorted lists together"""
    wanted = sum(map(len, lists)) * percent / 100
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(bisect_right(values, candidates[middle])
               for values in lists) >= wanted:
            high = middle
        else:
            low = middle + 1
    return candidates[low]


def contains(interval, value):
    return interval.low <= value <= interval.high


def verdict(interval, limit, least):
    """True: met. False: missed. None: the interval contains the limit.

    An interval of one value is a count, which meets its goal or does not.
    """
    if interval.low == interval.high:
        good = interval.value >= limit if least else interval.value <= limit
        return bool(good)
    if contains(interval, limit):
        return None
    return bool((interval.low > limit) == least)
