# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Python programs of qtest/ share. Each room has a link to this folder, so
that its programs find it wherever they are started from."""
