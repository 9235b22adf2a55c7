# SPDX-License-Identifier: GPL-2.0-or-later
"""How late interrupts were, out of what a guest says (bench-tick.c).

The guest stamps each interrupt with its TSC.  Under TCG that is the host's, the
same with every host clock.  HPET counter and TSC read together before and after
the run tell the stamps in terms of the time on which interrupts are due; that
this time passes as it should is checked against the arrival of the two pairs
here.

When an HPET interrupt is due is known exactly.  When an RTC's is, the guest
cannot know: it is one period after the other, with a phase such that the fewest
are served twice and, of those phases, lateness is the least on average.
"""
import math
from collections import namedtuple

from common import fail

HPET_TICK_NS = 10
RTC_HZ = 32768
# When a pair arrives is stamped as soon as a busy machine lets this program run.
RATE_TOLERANCE = 0.02
RATE_SLACK_S = 3
# Of a period, by how much the estimate of the RTC's phase may be wrong
EARLY = 0.1
# So many phases are tried.
PHASES = 32

# due: how many the guest could have taken.  An interrupt waits for the handler
# of the one before, and only one does: of deadlines that pass without a handler
# the first one is lost, and the guest could not have taken the others.
Run = namedtuple('Run', 'lateness_us due lost doubled')


def phase_ns(times, period):
    """The beginning of a period for which lateness is the least on average."""
    phases = sorted(t % period for t in times)
    # With t0 at the j-th phase, the j before it wrap round.
    best = min(range(len(phases)),
               key=lambda j: period * j / len(phases) - phases[j])
    return phases[best]


def judge_rtc(times, period):
    """The Run of the phase that makes the best of it. What comes soon after a late
    one is late by less than all others, as the main loop is still awake: then the
    phase is before that of the many."""
    phase = phase_ns(times, period)
    runs = (assign(times, phase - step * period / PHASES, period, begin=0)
            for step in range(PHASES))
    best = next(runs)
    for run in runs:
        if not best.doubled:
            break
        best = min(best, run, key=lambda run: run.doubled)
    return best


def burst(slots, times, period, first, is_usual):
    """Where the interrupts begin that were served soon after each other, or sooner
    after a deadline than usual, or after one that was, but for one of them, up to the
    last one; None unless the deadline before them is free. The deadline of slot first
    is the first one."""
    at, was_usual = len(slots) - 1, False
    while at > 0 and slots[at - 1] == slots[at] - 1:
        if times[at] - times[at - 1] >= period and all(
                map(is_usual, times[at - 1:at + 1])):
            if was_usual:
                return None
            was_usual = True
        at -= 1
    return at if at or slots[0] > first else None


def assign(times, due, period, begin=None):
    """The Run, in the unit of times.  Interrupts are due at a moment and each
    period after it; or from the beginning on, if that is known.

    An interrupt belongs to the last deadline before it.  If two belong to one,
    those served soon before were late by more than a period, and belong to the
    deadlines before theirs, provided that one is free; or the second is a trifle
    early, as due is an estimate for the RTC; else it is doubled.
    """
    usual = sorted((when - due) % period for when in times)[len(times) // 4]

    def is_usual(when):
        return (when - due) % period >= usual
    slots, kept, doubled = [], [], 0
    first = 0 if begin is None else math.ceil((begin - due) / period)
    for when in times:
        slot = math.floor((when - due) / period)
        if slots and slot <= slots[-1]:
            slot = slots[-1]
            begin = burst(slots, kept, period, first, is_usual)
            if begin is not None:
                slots[begin:] = [late - 1 for late in slots[begin:]]
            elif due + (slot + 1) * period - when < EARLY * period:
                slot += 1
            else:
                doubled += 1
                continue
        slots.append(slot)
        kept.append(when)
    lost = sum(after > before + 1 for before, after in zip(slots, slots[1:]))
    late = sorted(max(when - due - slot * period, 0)
                  for when, slot in zip(kept, slots))
    return Run(late, len(slots) + lost, lost, doubled)


def ns_per_tsc(who, pairs):
    (began, ticks0, tsc0), (ended, ticks1, tsc1) = pairs
    ns = ((ticks1 - ticks0) % 2 ** 32) * HPET_TICK_NS
    passed = (ended - began) * 1e9
    # The counter is read in 32 bits, and begins again after 43 s.
    ns += round((passed - ns) / (2 ** 32 * HPET_TICK_NS)) * 2 ** 32 * HPET_TICK_NS
    if abs(ns - passed) > RATE_SLACK_S * 1e9 + passed * RATE_TOLERANCE:
        fail(f'{who}: the guest’s HPET counted {ns / 1e9:.3f} s in '
             f'{passed / 1e9:.3f} s: its interrupts cannot be judged')
    return ns / (tsc1 - tsc0)


def judge(who, lines, stamps):
    """The Run, lateness in us, that a guest's (time of arrival, line) and TSCs tell"""
    period, due, pairs = 0, None, []
    for arrival, text in lines:
        word, *numbers = text.split()
        numbers = [int(number, 16) for number in numbers]
        if word == 'run':
            period, = numbers
        elif word == 'due':
            due, = numbers
        else:
            pairs.append((arrival, *numbers))
    scale, first = ns_per_tsc(who, pairs), pairs[0][2]
    times = [(stamp - first) * scale for stamp in stamps]
    if due is None:
        period *= 1e9 / RTC_HZ
        run = judge_rtc(times, period)
    else:
        due = (due - pairs[0][1]) * HPET_TICK_NS
        run = assign(times, due, period * HPET_TICK_NS)
    return run._replace(lateness_us=[ns / 1000 for ns in run.lateness_us])


def join(runs):
    """One Run of several"""
    return Run(sorted(us for run in runs for us in run.lateness_us),
               *(sum(column) for column in list(zip(*runs))[1:]))
