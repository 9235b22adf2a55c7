# SPDX-License-Identifier: GPL-2.0-or-later
"""HPET reads by several vCPUs at once: what waits for what, see slices.py.

QEMU 10.2 reads the counter without the big lock, but not under TCG; 10.0 with it.
Either way the way to it has to have no shared cache line that stock's has not.
"""
from reads import HEADER, LINKS, Rounds
from results import Goal, Result
from slices import Config

# One vCPU is in 'reads'.
CPUS = (2, 4, 8)
# In a slice, by all vCPUs together; they wait for each other
READS = 160_000
# What vCPUs fight for goes to whom luck chooses, whatever the clock: so all clocks
# together, and what luck may make
GOAL = 0.95


def run(bench):
    rounds = Rounds(bench, [
        Config('host', cpus, (('hpet', READS // cpus),), 2 if cpus < 4 else 3)
        for cpus in bench.pick((2,), CPUS)])

    def goals():
        return [Goal(f"HPET reads with {config.cpus} vCPUs, of stock's",
                     rounds.interval(config, 'hpet', bench.ours), GOAL, least=True,
                     digits=3, unit=' x', of_stock=True, worst='all clocks together')
                for config in rounds.configs] + rounds.same_goals(['hpet'])

    for number in bench.rounds('vcpus', *bench.pick((4, 4), (8, 8)), goals):
        rounds.measure(number)
    return Result(
        'vcpus', 'HPET reads by several vCPUs at once, TCG',
        'All vCPUs read at once, which on as few processors as this machine '
        f'has costs CPU time where they wait for each other. {LINKS}',
        tables=[rounds.table(['hpet'])], goals=goals(),
        plots=[rounds.plot('HPET reads a second of CPU time', ['hpet'],
                           [GOAL])],
        header=HEADER, raw=rounds.raw())
