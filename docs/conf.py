# SPDX-License-Identifier: GPL-2.0-or-later
#
# The book's sphinx configuration. See scripts/book.py.

project = 'Host clocks for QEMU'
copyright = 'the authors, GPL-2.0-or-later'
extensions = ['myst_parser']
source_suffix = {'.rst': 'restructuredtext', '.md': 'markdown'}
html_theme = 'sphinx_rtd_theme'
html_show_sphinx = False
html_show_copyright = False
highlight_language = 'none'
# Markdown pages are linked by their file names in the source.
myst_heading_anchors = 2
