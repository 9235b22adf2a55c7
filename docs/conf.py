# SPDX-License-Identifier: GPL-2.0-or-later
#
# The book's sphinx configuration. See scripts/book.py.

project = 'Host clocks for QEMU'
copyright = 'the authors, GPL-2.0-or-later'
html_theme = 'sphinx_rtd_theme'
html_show_sphinx = False
html_show_copyright = False
highlight_language = 'none'
