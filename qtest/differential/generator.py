# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations on an RTC and an HPET, from a seed.

An operation is a tuple: ("q", LINE) is a line of the qtest protocol, ("k", LINE)
one that keeps away from an allowed difference and has to stay, ("t", NS) lets
time pass, ("w", NS) too, but in the stopped VM, ("m", COMMAND) is stop, cont,
reset, save or load. Whatever may arm a timer for the present moment is followed by a "t", so that this timer runs
there and not whenever the main loop comes by.
"""

import random
from collections import namedtuple

HPET, HPET_LEGACY = 0xfed00000, 1 << 1
HPET_PERIODIC, HPET_32BIT, HPET_FSB, HPET_SETVAL = 1 << 3, 1 << 8, 1 << 14, 64
# Comparators below this are never further ahead than nanoseconds can say.
NEAR = 1 << 58
# Interrupts delivered as messages go here, in the machine's 16 MB.
MESSAGES = 0x100000
GRID_NS, GRID_TICKS = 10_000, 1000

BASES = ("2006-06-17T16:01:21", "1999-12-31T23:59:57", "2038-01-19T03:14:05",
         "2100-02-28T23:59:58", "2104-02-28T12:00:00", "9999-12-31T23:59:50",
         "1970-01-01T00:00:00", "2262-04-11T23:47:14")
NEAR_BASES = [base for base in BASES if "2000" < base < "2100"]

Variant = namedtuple("Variant", "machine timers msi slew pit base grid manual "
                     "mode")
# Registers of the RTC
SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM, REG_A, REG_B = 1, 3, 5, 10, 11
SET, BINARY, HOURS_24 = 0x80, 0x04, 0x02
MODES = (HOURS_24, HOURS_24, HOURS_24 | BINARY, HOURS_24 | BINARY, 0, BINARY)
PM, DONT_CARE = 0x80, 0xc0
YEAR, CENTURIES = 9, (0x32, 0x37)
# The time; the limit of each register
TIME = {0: 60, 2: 60, 4: 24}
WEEKDAY = 6
# All of the date; from where to where each has a date that there is
DATE = {0: (0, 60), 2: (0, 60), 4: (0, 24), 7: (1, 29), 8: (1, 13), 9: (0, 100),
        0x32: (19, 100), 0x37: (19, 100)}
# Lines of the I/O APIC that are not those of the PIT and the RTC
LINES = [line for line in range(24) if line not in (0, 2, 8)]


def choose_variant(rng, grid, manual):
    """What machine a round runs on"""
    return Variant(rng.choice(("pc", "q35")),
                   rng.choice((3, 3, 8, 8 if manual else len(LINES))),
                   rng.random() < 0.3, rng.random() < 0.3,
                   rng.random() < 0.5 and not manual, rng.choice(BASES), grid,
                   manual, rng.choice(MODES))


def any_bits(rng, size):
    """An integer of size bits, often with few or with nearly all bits set."""
    kind = rng.randrange(4)
    if kind == 0:
        return 1 << rng.randrange(size)
    if kind == 1:
        return (1 << size) - 1 - rng.getrandbits(min(size, 6))
    return rng.getrandbits(size) >> rng.randrange(size)


class Generator:
    """Operations of one round, as many as asked for"""

    def __init__(self, rng, variant, avoid):
        self.rng, self.variant, self.avoid = rng, variant, avoid
        self.ops = []
        self.running, self.saved = True, False
        self.now_ns = 0
        self.cmos_index = 0
        self.reg_a = self.saved_reg_a = 0x26
        self.legacy = False
        # The data mode of the round; None if it may change
        self.mode = variant.mode if "past" in avoid else None
        # Can an alarm be at an hour?
        self.hours = "twelve" not in avoid or self.mode is not None and \
            self.mode & HOURS_24

    def generate(self, count):
        self.set_up_rtc()
        self.after_reset()
        turns = ((self.rtc, 46), (self.hpet, 46), (self.rtc_set, 2),
                 (self.jump, 4), (self.stop_cont, 1), (self.reset, 0.15),
                 (self.snapshot, 0.12))
        names, weights = zip(*turns)
        while len(self.ops) < count:
            if not self.running and (self.variant.manual or
                                     "stopped" in self.avoid):
                self.look_while_stopped()
            else:
                self.rng.choices(names, weights)[0]()
        if not self.running:
            self.stop_cont()
        return self.ops[:count]

    # What operations are made of

    def line(self, text):
        self.ops.append(("q", text))

    def keep(self, text):
        self.ops.append(("k", text))

    def step(self, ns):
        if self.variant.grid:
            for _ in range(max(1, min(ns // GRID_NS, 60))):
                self.pass_ns(GRID_NS)
        else:
            self.pass_ns(ns)

    def pass_ns(self, ns):
        # qtest's clock moves in a stopped VM as well, the manual clock's vm
        # view does not.
        if self.running or not self.variant.manual:
            self.ops.append(("t", ns))
            self.now_ns += ns
        else:
            self.ops.append(("w", ns))

    def machine(self, command):
        self.ops.append(("m", command))
        self.step(1)

    def settle(self):
        """Let what is due now run, and a little time pass, or more."""
        if self.rng.random() < 0.7:
            self.step(1 + self.rng.randrange(50))
        else:
            self.step(1 << self.rng.randrange(6, 27))

    def jump(self):
        """Long enough for seconds to end, or days with nothing periodic on"""
        kind = self.rng.random()
        if kind < 0.6:
            ns = self.rng.randrange(1_000_000_000)
        elif kind < 0.9:
            # To the last microseconds of a second, where UIP is
            ns = -self.now_ns % 1_000_000_000 + self.rng.choice(
                (999_755_000, 999_756_000, 1_000_000_000, 0, 500_000_000))
            ns += self.rng.randrange(1000)
        else:
            ns = self.rng.randrange(20_000_000_000)
        self.step(ns)

    # RTC

    def cmos(self, reg, value=None):
        if reg != self.cmos_index or self.rng.random() < 0.5:
            self.line(f"outb 0x70 {reg | self.rng.choice((0, 0, 0x80)):#x}")
            self.cmos_index = reg
        self.line("inb 0x71" if value is None else f"outb 0x71 {value:#x}")

    def rtc_reg(self):
        reg = self.any_rtc_reg()
        return 7 if reg == WEEKDAY and "write" in self.avoid else reg

    def any_rtc_reg(self):
        kind = self.rng.random()
        if kind < 0.5:
            return self.rng.choice((10, 11, 12, 12, 12))
        if kind < 0.95:
            return self.rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x32, 0x37))
        return self.rng.randrange(128)

    def rtc(self):
        reg = self.rtc_reg()
        if self.rng.random() < 0.55:
            self.cmos(reg)
            # Register C lets timers be armed again.
            if reg == 12:
                self.settle()
            return
        value = self.rtc_value(reg)
        if reg == REG_A and "chain" in self.avoid:
            self.keep_reg_b(0)
        elif reg in DATE and "write" in self.avoid:
            self.keep_reg_b(SET)
        self.cmos(reg, value)
        self.settle()

    def keep_reg_b(self, flags):
        mode = HOURS_24 if self.mode is None else self.mode
        self.keep(f"outb 0x70 {REG_B:#x}")
        self.keep(f"outb 0x71 {mode | flags:#x}")
        self.cmos_index = REG_B

    def rtc_value(self, reg):
        """A value for a register, as far from ALLOWED as need be"""
        if reg in TIME and self.mode is not None:
            value = self.code(self.rng.randrange(TIME[reg]), reg)
        elif reg in CENTURIES and "2262" in self.avoid:
            value = self.code(20)
        elif reg in DATE and "write" in self.avoid:
            value = self.code(self.rng.randrange(*DATE[reg]))
        elif reg == YEAR and "2262" in self.avoid:
            value = self.code(self.rng.randrange(100))
        else:
            value = self.any_rtc_value(reg)
        if reg == SECONDS_ALARM and "day" in self.avoid or \
                reg == HOURS_ALARM and not self.hours:
            value |= DONT_CARE
        if reg == REG_B and self.mode is not None:
            value = value & ~(BINARY | HOURS_24) | self.mode
        if reg == REG_A:
            self.reg_a = value
        return value

    def code(self, n, reg=0, mode=None):
        """A number as a register has it"""
        if mode is None:
            mode = HOURS_24 if self.mode is None else self.mode
        afternoon = 0
        if reg == 4 and not mode & HOURS_24:
            afternoon = PM if n >= 12 else 0
            n = n % 12 or 12
        return afternoon | (n if mode & BINARY else n // 10 << 4 | n % 10)

    def any_rtc_value(self, reg):
        rng = self.rng
        if reg == REG_A:
            divider = rng.choice((0x20, 0x20, 0x20, 0x20, 0x60, 0x70, 0x00,
                                  0x10, 0x30, 0x50))
            rate = rng.randrange(16)
            if "periodic" in self.avoid and "endless" in self.avoid:
                rate = 0
            if "endless" in self.avoid and self.variant.slew and rate == 3:
                rate = 4
            return divider | rate | rng.choice((0, 0, 0x80))
        if reg == REG_B:
            return rng.choice((0x02, 0x06, 0x00, 0x42, 0x12, 0x32, 0x72, 0x86,
                               0x82, rng.randrange(256)))
        if rng.random() < 0.15:
            return rng.randrange(256)
        # Plausible in BCD and in binary, near the end of things, don't care
        return rng.choice((0, 1, 2, 3, 0x12, 0x23, 0x28, 0x29, 0x30, 0x31,
                           0x59, 23, 59, 0x99, 0x81, 0x92, 0xc0, 0xff))

    def rtc_set(self):
        """Sets the date as a guest should."""
        rng = self.rng
        mode = rng.choice((HOURS_24, HOURS_24 | BINARY)) \
            if self.mode is None else self.mode
        self.cmos(REG_B, SET | mode)
        second = rng.randrange(50, 60)
        centuries = (0x32, 20, 21) if "2262" in self.avoid else (0x32, 19, 100)
        self.cmos(0, self.code(second, 0, mode))
        days = 29 if "write" in self.avoid else 32
        for reg, low, high in ((2, 58, 60), (4, 22, 24), (7, 27, days),
                               (8, 1, 13), (9, 0, 100), centuries):
            self.cmos(reg, self.code(rng.randrange(low, high), reg, mode))
        self.cmos(REG_B, mode | rng.choice((0, 0x10, 0x20, 0x40, 0x70)))
        self.settle()
        if "day" not in self.avoid and rng.random() < 0.3:
            self.minute_alarm((second + 1) % 60, mode)

    def minute_alarm(self, second, mode):
        """Every minute, set in the very second, with the update-ended flag
        set; chance alone would take a year to come here."""
        self.step(1_000_000_000)
        self.cmos(HOURS_ALARM, DONT_CARE)
        self.cmos(MINUTES_ALARM, DONT_CARE)
        self.cmos(SECONDS_ALARM, self.code(second, 0, mode))
        for _ in range(4):
            self.step(20_000_000_000)
        self.cmos(12)
        self.settle()

    # HPET

    def hpet_write(self, reg, value, size=64):
        self.line(f"write{'q' if size == 64 else 'l'} {HPET + reg:#x} "
                  f"{value:#x}")

    def timers(self):
        """How many timers' registers may be touched"""
        all_of_them = min(self.variant.timers + 2, 24)
        for _ in range(9):
            n = self.rng.randrange(all_of_them)
            if n != self.variant.timers or "past-last" not in self.avoid:
                return n
        return 0

    def hpet_reg(self):
        if self.rng.random() < 0.35:
            return self.rng.choice((0x00, 0x10, 0x10, 0x20, 0x20, 0xf0, 0xf0,
                                    0x30, 0xe8))
        return (0x100 + 0x20 * self.timers() +
                self.rng.choice((0, 0, 8, 8, 8, 0x10, 0x18)))

    def hpet(self):
        rng = self.rng
        reg, size = self.hpet_reg(), rng.choice((64, 32))
        high = 4 if size == 32 and rng.random() < 0.3 else 0
        # On the grid the counter is never ahead of the time, so that a match
        # is in the future when it is set.
        if rng.random() < 0.4 or (reg == 0xf0 and self.variant.grid):
            name = {64: "readq", 32: "readl"}[size]
            if rng.random() < 0.02:
                name = rng.choice(("readb", "readw"))
            self.line(f"{name} {HPET + reg + high:#x}")
        elif reg >= 0x100 and reg & 0x18 == 8:
            self.hpet_comparator(reg, size, high)
        elif reg >= 0x100 and reg & 0x18 == 0x10:
            self.hpet_message(reg)
        else:
            value = self.hpet_value(reg) >> (32 if high else 0)
            if reg == 0x10 and not high:
                self.legacy = bool(value & HPET_LEGACY)
            if reg != 0x20:
                self.clear_pending("masked")
            self.hpet_write(reg + high, value & (1 << size) - 1, size)
            self.settle()
        if self.variant.msi and rng.random() < 0.1:
            self.line(f"readl {MESSAGES + 4 * rng.randrange(4):#x}")

    def hpet_value(self, reg):
        rng = self.rng
        if reg == 0x10:
            return rng.choice((0, 1, 1, 1, 1, 3, 3, 2, any_bits(rng, 64) | 1))
        if reg == 0xf0:
            return self.hpet_counter()
        if reg >= 0x100 and reg & 0x18 == 0:
            return self.hpet_config(reg)
        return any_bits(rng, 64)

    def hpet_counter(self):
        value = any_bits(self.rng, 64)
        if self.rng.random() < 0.7:
            value = self.now_ns // 10
        return value % NEAR if "far" in self.avoid else value

    def route(self, reg):
        """Tn_INT_ROUTE_CNF. Timers that are late when they are armed fire in
        the order of their deadlines, unless these are before time 0; that is
        another instant on the manual clock. So no two share a line there."""
        n = (reg - 0x100) // 0x20
        if self.variant.manual:
            return (9 + n % 8) << 9
        if "masked" in self.avoid:
            timers = self.variant.timers
            return self.rng.choice(LINES[n % timers::timers]) << 9
        return self.rng.randrange(24) << 9

    def clear_pending(self, name):
        if name in self.avoid:
            self.keep(f"writeq {HPET + 0x20:#x} 0xffffffff")

    def hpet_config(self, reg):
        rng = self.rng
        value = any_bits(rng, 64) if rng.random() < 0.2 else \
            rng.choice((4, 4, 6, 0, 2, 8, 12, 14)) | rng.choice((0, 256)) | \
            rng.choice((0, HPET_SETVAL)) | self.route(reg)
        if self.variant.manual or "masked" in self.avoid:
            value = value & ~(31 << 9) | self.route(reg)
        if rng.random() < 0.2:
            value |= HPET_FSB
        if "fsb" in self.avoid and not self.variant.msi:
            value &= ~HPET_FSB
        if "exact" in self.avoid and not self.variant.grid:
            value &= ~HPET_PERIODIC
        if self.variant.grid:
            # 2^32 is no multiple of the grid.
            value &= ~HPET_32BIT
        return value

    def hpet_comparator(self, reg, size, high):
        if self.variant.grid:
            self.hpet_grid_comparator(reg)
            return
        value = self.now_ns // 10 + any_bits(self.rng, 36)
        if self.rng.random() < 0.2:
            value = any_bits(self.rng, 64)
        if "far" in self.avoid:
            value %= NEAR
        value = value >> 32 if high else value % (1 << size)
        self.hpet_write(reg + high, value, size)
        self.settle()

    def hpet_grid_comparator(self, reg):
        """Match between two points of the grid, from there on period by
        period. The first write after SETVAL sets the period as well, so it is
        written again before that match."""
        rng = self.rng
        match = (self.now_ns // 10 // GRID_TICKS + rng.randrange(4, 64)) * \
            GRID_TICKS + GRID_TICKS // 2
        config = 4 | 8 | HPET_SETVAL | rng.choice((0, 2)) | self.route(reg)
        self.clear_pending("masked")
        for write in ((reg - 8, config), (reg, match),
                      (reg, rng.randrange(1, 32) * GRID_TICKS)):
            self.hpet_write(*write)
            self.step(1)
        self.settle()

    def hpet_message(self, reg):
        address = MESSAGES + 4 * self.rng.randrange(4)
        self.hpet_write(reg, address << 32 | self.rng.getrandbits(32))

    # The machine

    def set_up_rtc(self):
        """Alarms and data mode as rtc_value() keeps them"""
        values = []
        if "day" in self.avoid:
            values.append((SECONDS_ALARM, DONT_CARE))
        if not self.hours:
            values.append((HOURS_ALARM, DONT_CARE))
        if self.mode is not None:
            values.append((REG_B, self.mode))
        if "periodic" in self.avoid and "endless" in self.avoid:
            self.reg_a = 0x20
            values.append((REG_A, self.reg_a))
        for reg, value in values:
            self.keep(f"outb 0x70 {reg:#x}")
            self.keep(f"outb 0x71 {value:#x}")

    def after_reset(self):
        """Comparators are centuries away after a reset, and all timers have
        the PIT's line."""
        for n in range(self.variant.timers):
            reg = 0x100 + 0x20 * n
            if "masked" in self.avoid:
                self.keep(f"writeq {HPET + reg:#x} {self.route(reg):#x}")
            if "far" in self.avoid:
                value = GRID_TICKS // 2 if self.variant.grid else \
                    self.rng.getrandbits(32)
                self.keep(f"writeq {HPET + reg + 8:#x} {value:#x}")
        self.step(1)

    def stop_cont(self):
        self.running = not self.running
        self.machine("cont" if self.running else "stop")

    def look_while_stopped(self):
        """Nobody writes to a stopped machine; under qtest alone its timers
        would run."""
        for _ in range(self.rng.randrange(20)):
            reg = self.rng.choice((0, 2, 4, 6, 7, 8, 9, 10, 11, 0x32))
            self.cmos(7 if reg == WEEKDAY and "write" in self.avoid else reg)
            reg = self.rng.choice((0x00, 0x10, 0xf0)) \
                if "stopped" in self.avoid else self.hpet_reg()
            self.line(f"readq {HPET + reg:#x}")
            ns = 1 << self.rng.randrange(32)
            self.pass_ns(ns // GRID_NS * GRID_NS if self.variant.grid else ns)
        self.stop_cont()

    def reset(self):
        if self.running:
            self.clear_pending("pending")
            self.machine("reset")
            self.legacy = False
            self.after_reset()

    def snapshot(self):
        if self.variant.manual and not self.running:
            return
        # A load sets the manual clock's virtual time back, but not qtest's.
        if self.saved and not self.variant.manual and self.rng.random() < 0.6:
            self.clear_pending("pending")
            self.machine("load")
            self.reg_a, self.legacy = self.saved_reg_a, self.saved_legacy
        elif self.may_save():
            self.machine("save")
            self.saved = True
            self.saved_reg_a, self.saved_legacy = self.reg_a, self.legacy

    def may_save(self):
        if self.legacy and self.variant.pit and "masked" in self.avoid:
            return False
        return self.reg_a & 0x60 != 0x60 or "held" not in self.avoid


def operations(seed, variant, avoid, count):
    """The operations of a round; the same for the same arguments."""
    return Generator(random.Random(seed), variant, avoid).generate(count)
