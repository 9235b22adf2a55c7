# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is compared, how thoroughly, and in how many rounds."""
import copy
import time

from common import NONE, STOCK, Subject, progress
from lib.paths import BUILD, OBJ
import links

AGAIN = 'stock again'
SYSTEM = 'system'
SCALED = 'scaled'
STOCKS_ALIKE = 'stock against stock: not told apart'
# Rounds beyond the least number, to decide a goal, begin only until then: two fifths
# of what all of it may take.
MORE_ROUNDS_S = 720
# A sampled clock has taken its first hundred samples by then, in the lab as well.
LEARNED_S = 112


class Bench:
    """What was asked for: programs, subjects, and how thoroughly.

    Stock is there twice, with other links: two that do not differ must not be
    told apart.
    """

    def __init__(self, args):
        self.quick, self.nested = args.quick, args.nested
        self.qemu, self.accel = args.qemu, args.accel
        self.stock = Subject(STOCK, args.stock, None)
        self.again = Subject(AGAIN, args.stock, None)
        self.stocks = [self.stock, self.again]
        self.compare([Subject(name, args.qemu, None if name == NONE else name)
                      for name in args.sources])
        # Guests of 'idle' and 'vms' that are there already, in the lab
        self.begun, self.herds, self.began = {}, {}, None
        self.more_until = time.monotonic() + MORE_ROUNDS_S

    def compare(self, ours):
        self.ours = ours
        self.named = {subject.name: subject for subject in ours}
        # A pace of its own has its price: goals of its own
        self.groups = [some for some in (
            [s for s in ours if s.name != SCALED],
            [s for s in ours if s.name == SCALED]) if some]
        self.subjects = [self.stock, *ours]
        self.compared = [self.again, *ours]
        self.measured = [self.stock, *self.compared]
        # Where all that counts is whether there is a host clock
        self.few = [self.stock, *(s for s in ours if s.name != SYSTEM)][:3]

    def without(self, name):
        """The same, but for one of ours"""
        other = copy.copy(self)
        other.compare([s for s in self.ours if s.name != name])
        return other

    def alike(self):
        """[(text, one, other)] of two that must not be told apart"""
        pairs = [(STOCKS_ALIKE, self.again, self.stock)]
        if SYSTEM in self.named and NONE in self.named:
            pairs.append(('-clock system and none: not told apart',
                          self.named[SYSTEM], self.named[NONE]))
        return pairs

    def asleep(self, subjects):
        """Stock, twice but for the lab, which has no room for as many guests at a time,
        and the others of these"""
        stock, *ours = subjects
        return [stock, *([] if self.nested else [self.again]), *ours]

    def bases(self, subject):
        """What it is compared with: stock in both of its links"""
        return [self.stock] if subject is self.again else self.stocks

    def wait_learned(self):
        """Until the clocks of guests that were there before know their rate"""
        if self.began is not None:
            time.sleep(max(0, self.began + LEARNED_S - time.monotonic()))

    def guest(self, name):
        return BUILD / 'qtest/baremetal' / f'{name}.elf'

    def program(self, name):
        """A benchmark of QEMU's tests/bench/."""
        return OBJ / 'tests/bench' / name

    def pick(self, quick, full, nested=None):
        """How thoroughly: one of these. In the lab, where all takes longer,
        it is quick unless said otherwise."""
        if self.nested and nested is not None:
            return nested
        return quick if self.quick or self.nested else full

    def linked(self, subject, seed):
        """The same subject, linked in the order of a round. There is no linker
        in the lab."""
        if self.nested:
            return subject
        seed += subject is self.again
        return subject._replace(qemu=links.link(subject.qemu, seed))

    def rounds(self, part, least, most, goals):
        """A number for each round, which is the seed of its links: least of
        them, and more as long as one of goals() is open."""
        for number in range(most):
            if number >= least:
                why = next((goal.text for goal in goals() if goal.open), '')
                if not why or time.monotonic() > self.more_until:
                    return
                progress(f'{part}: not decided yet: {why}')
            if not self.nested:
                links.make([self.stock.qemu, self.qemu],
                           range(least + 1) if not number else [number + 1])
            began = time.monotonic()
            yield number
            progress(f'{part}: round {number + 1}, '
                     f'{time.monotonic() - began:.0f} s')
