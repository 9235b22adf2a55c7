#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the machine's Debian mirror: URI, keyring and code name, tab-separated.

Reads the sources that apt reads, in both formats (deb822 and one-line). apt's
own 'indextargets' knows nothing before the first 'apt-get update', and a fresh
machine has not had one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'


def apt_paths():
    """The sources.list file and folder that apt itself would use."""
    out = subprocess.run(
        ['apt-config', 'shell', 'LIST', 'Dir::Etc::sourcelist/f',
         'PARTS', 'Dir::Etc::sourceparts/d'],
        capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"(\w+)='(.*)'", out))
    return Path(found['LIST']), Path(found['PARTS'])


def deb822_entries(text):
    for stanza in re.split(r'\n\s*\n', text):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line.startswith('#'):
                continue
            if line[:1] in ' \t' and key:
                fields[key] += ' ' + line.strip()
            elif ':' in line:
                key, value = line.split(':', 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get('enabled', 'yes').lower() in ('no', 'false', '0'):
            continue
        if 'deb' not in fields.get('types', '').split():
            continue
        for uri in fields.get('uris', '').split():
            for suite in fields.get('suites', '').split():
                yield uri, suite, fields.get('signed-by', '')


def one_line_entries(text):
    for line in text.splitlines():
        match = re.match(r'\s*deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)', line)
        if match:
            key = re.search(r'signed-by=(\S+)', match[1] or '')
            yield match[2], match[3], key[1] if key else ''


def entries():
    main, parts = apt_paths()
    files = [main] + sorted(parts.glob('*')) if parts.is_dir() else [main]
    for path in files:
        if path.suffix not in ('.list', '.sources') or not path.is_file():
            continue
        reader = deb822_entries if path.suffix == '.sources' else one_line_entries
        yield from reader(path.read_text(errors='replace'))


def codename():
    for line in Path('/etc/os-release').read_text().splitlines():
        if line.startswith('VERSION_CODENAME='):
            return line.split('=', 1)[1].strip('"')
    return ''


def main():
    name = codename()
    wanted = {name, 'stable', 'oldstable', 'testing', 'unstable', 'sid'} - {''}
    for uri, suite, key in entries():
        if suite not in wanted or uri.startswith('cdrom:'):
            continue
        if not key.startswith('/') or not os.access(key, os.R_OK):
            key = KEYRING       # an embedded key, or trusted.gpg.d
        print(uri, key, name, sep='\t')
        return 0
    if os.environ.get('HOST_CLOCK_MIRROR'):
        print(os.environ['HOST_CLOCK_MIRROR'], KEYRING, name, sep='\t')
        return 0
    return 1


sys.exit(main())
