# SPDX-License-Identifier: GPL-2.0-or-later
"""Test points, as meson and scripts/count-tests.py read them."""

import sys
import threading
import traceback


class Tap:
    """Prints points, of several threads too, and counts them."""

    def __init__(self):
        self.count = self.failed = 0
        self._lock = threading.Lock()

    def point(self, name, error=None, skip=None):
        """One test: it has passed, unless there is an error or a reason to skip it."""
        with self._lock:
            self.count += 1
            self.failed += bool(error)
            print("not ok" if error else "ok", self.count, "-", name
                  + (f" # SKIP {skip}" if skip and not error else ""))
            self._comment(error or "")

    def points(self, points):
        """Each of them: name, error, reason to skip; the last may be left out."""
        for point in points:
            self.point(*point)

    def attempt(self, name, call, *args):
        """A test that raises what is wrong, and may return a reason to skip it."""
        try:
            skip = call(*args)
        except Exception:       # whatever it is, the next test runs
            self.point(name, traceback.format_exc())
        else:
            self.point(name, skip=skip)

    def say(self, text):
        """A comment."""
        with self._lock:
            self._comment(text)

    @staticmethod
    def _comment(text):
        for line in str(text).splitlines():
            print(f"# {line}".rstrip())
        # A test may take minutes, and meson shows what there is.
        sys.stdout.flush()

    def end(self):
        """Print the plan; what the program exits with."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed or not self.count else 0
