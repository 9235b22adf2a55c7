# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's results as one HTML page; gnuplot draws the plots."""
import statistics
import subprocess
from html import escape

from common import fail, quartiles
from results import GOAL_COLUMNS, Plot, tally

COLOURS = {'stock': '#5b6472', 'stock again': '#98a0ad', '(none)': '#0f6e84',
           'system': '#54a9bc', 'dynticks': '#d1761a', 'unix': '#6b4fa0',
           'boottime': '#8a6d1f', 'raw': '#2e8b57', 'scaled': '#7a4b2a',
           'hpet': '#b3261e', 'rtc': '#c2417c', 'ptp': '#3557a8'}
OTHER = '#22262e'

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f7f5f0; color: #22262e;
  font: 16px/1.55 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font: 600 2.3rem/1.15 Georgia, "Noto Serif", "DejaVu Serif", serif;
  margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 0 0 .4rem; }
a { color: #0f6e84; text-decoration: none; }
h3 { font-size: .95rem; margin: 1.6rem 0 .5rem; font-weight: 600; }
p { margin: .4rem 0; max-width: 50rem; }
section { background: #fffefb; border: 1px solid #e4dfd4; margin: 1.4rem 0;
  border-radius: .8rem; padding: 1.4rem 1.6rem; }
.soft { color: #6b7280; font-size: .92rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: #6b7280; font-weight: 600; }
th, td { padding: .28rem .8rem .28rem 0; border-bottom: 1px solid #e4dfd4;
  white-space: nowrap; vertical-align: baseline; }
.figure { text-align: right; }
.wrap { white-space: normal; }
.tag { font-weight: 600; padding: .05rem .5rem; border-radius: .4rem;
  font-size: .82rem; white-space: nowrap; }
.met { color: #1b7f4b; background: #e0f3e7; }
.missed { color: #b3261e; background: #fbe2df; }
.open { color: #80641a; background: #f6ecd0; }
figure { margin: 1.4rem 0 0; } figure svg { max-width: 100%; height: auto; }
code { font-family: "Noto Sans Mono", "DejaVu Sans Mono", monospace;
  font-size: .86em; }
"""


# -- plots

def bars(title, label, groups, names, values, line=None, log=False):
    """Clustered bars of medians with their quartiles.

    values[name][group] is a list of samples, or None for no bar.
    """
    data, clauses = {}, []
    width = 0.8 / len(names)
    for number, (name, samples) in enumerate(zip(names, values)):
        block = f'$bar{number}'
        left = -0.4 + width * (number + 0.5)
        data[block] = [
            f'{group + left} {statistics.median(some)} '
            f'{quartiles(some)[0]} {quartiles(some)[1]}'
            for group, some in enumerate(samples) if some]
        clauses.append(f'{block} using 1:2:3:4:({width * 0.9}) with boxerrorbars '
                       f'lc rgb "{COLOURS.get(name, OTHER)}" '
                       f'title "{name}"')
    tics = ', '.join(f'"{group}" {at}' for at, group in enumerate(groups))
    script = [
        f'set ylabel "{label}"', f'set xtics ({tics}) scale 0',
        f'set xrange [-0.6:{len(groups) - 0.4}]',
        'set style fill solid 0.85 noborder', 'set bars 0.4',
        'set logscale y' if log else 'set yrange [0:*]']
    if line is not None:
        script.append(f'set arrow 1 from graph 0, first {line} to graph 1, '
                      f'first {line} nohead lc rgb "#b3261e" dt 2')
    # gnuplot's boxerrorbars want the width last.
    script.append('plot ' + ', '.join(clauses))
    return Plot(title, '\n'.join(script), data)


def intervals(title, label, found, limits=()):
    """Points with their intervals, of which found has (group, name, Interval);
    a line for each limit."""
    groups = list(dict.fromkeys(group for group, _, _ in found))
    names = list(dict.fromkeys(name for _, name, _ in found))
    width = 0.8 / len(names)
    data, clauses = {}, []
    for number, name in enumerate(names):
        left = -0.4 + width * (number + 0.5)
        data[f'$point{number}'] = [
            f'{groups.index(group) + left} {some.value} {some.low} {some.high}'
            for group, which, some in found if which == name]
        clauses.append(f'$point{number} using 1:2:3:4 with yerrorbars pt 7 '
                       f'ps 0.9 lw 2 lc rgb "{COLOURS.get(name, OTHER)}" '
                       f'title "{name}"')
    tics = ', '.join(f'"{group}" {at}' for at, group in enumerate(groups))
    arrows = [f'set arrow {number} from graph 0, first {limit} to graph 1, '
              f'first {limit} nohead lc rgb "#b3261e" dt 2'
              for number, limit in enumerate(limits, 1)]
    return Plot(title, '\n'.join([
        f'set ylabel "{label}"', f'set xtics ({tics}) scale 0',
        f'set xrange [-0.6:{len(groups) - 0.4}]', 'set bars 0.5',
        'set offsets 0, 0, graph 0.05, graph 0.05', *arrows,
        'plot ' + ', '.join(clauses)]), data)


def draw(plot):
    """The plot as SVG, to be put into a page."""
    blocks = [f'{name} << EOD\n' + '\n'.join(lines) + '\nEOD'
              for name, lines in plot.data.items()]
    script = '\n'.join([
        f'set terminal svg size 960,{plot.height} dynamic '
        'font "DejaVu Sans,13" background "#fffefb"',
        'set termoption noenhanced', 'set encoding utf8', 'set border 3 lc rgb "#98a0ad"',
        'set grid ytics lc rgb "#e4dfd4" lt 1', 'set tics nomirror',
        'set key outside top center horizontal', *blocks, plot.script, ''])
    try:
        run = subprocess.run(['gnuplot'], input=script, text=True, check=False,
                             capture_output=True)
    except FileNotFoundError:
        fail('gnuplot is not there: install the Debian package gnuplot-nox '
             '(./run build does)')
    if run.returncode or not run.stdout.strip():
        fail(f'gnuplot could not draw "{plot.title}": {run.stderr.strip()}')
    return run.stdout[run.stdout.index('<svg'):]


# -- HTML

def cells(table, line, tag):
    return ''.join(
        f'<{tag}{"" if at < table.left else " class=figure"}>{escape(cell)}'
        f'</{tag}>' for at, cell in enumerate(line))


def table_html(table):
    rows = '\n'.join(f'<tr>{cells(table, row, "td")}</tr>'
                     for row in table.rows)
    return (f'<h3>{escape(table.title)}</h3><div class=scroll><table>'
            f'<tr>{cells(table, table.columns, "th")}</tr>\n{rows}'
            '</table></div>')


def goal_html(goal):
    text, limit, figure, interval, said, worst = goal.cells()
    kind = {True: 'met', False: 'missed', None: 'open'}[goal.met]
    return (f'<tr><td class=wrap>{escape(text)}<td class=figure>{escape(limit)}'
            f'<td class=figure><b>{escape(figure)}</b>'
            f'<td class=figure>{escape(interval)}'
            f'<td><span class="tag {kind}">{said}</span>'
            f'<td class="wrap soft">{escape(worst)}</tr>')


def goals_html(results):
    """All of them, below a line for each part."""
    rows = ''.join(
        f'<tr><th colspan=6><a href="#{result.part}">{escape(result.title)}'
        '</a></th></tr>' + ''.join(map(goal_html, result.goals))
        for result in results if result.goals)
    heads = ''.join(f'<th>{escape(name)}' for name in GOAL_COLUMNS)
    return (f'<section id=goals><h2>Goals</h2><div class=scroll><table>'
            f'<tr>{heads}</tr>{rows}</table></div></section>')


def plot_html(plot):
    return (f'<h3>{escape(plot.title)}</h3><figure>{draw(plot)}</figure>')


def result_html(result):
    return (f'<section id="{result.part}"><h2>{escape(result.title)}</h2>'
            f'<p class=soft>{escape(result.about)}</p>'
            + ''.join(map(plot_html, result.plots))
            + ''.join(map(table_html, result.tables))
            + f'<p class=soft>Raw figures: <code>bench-{result.part}.csv</code>'
            f', or <code>./run bench {result.part.removesuffix("-lab")}</code> '
            'again.</p></section>')


def write(path, results, facts):
    """facts: [(what, text)] about the machine and the run"""
    goals = [goal for result in results for goal in result.goals]
    lines = ''.join(f'<tr><td class=soft>{escape(what)}<td class=wrap>'
                    f'{escape(text)}</tr>' for what, text in facts)
    path.write_text(
        '<!doctype html><html lang=en><meta charset=utf-8>'
        '<meta name=viewport content="width=device-width">'
        '<title>Host clocks against stock QEMU</title>'
        f'<style>{STYLE}</style><main>'
        '<h1>Host clocks against stock QEMU</h1>'
        f'<p>{tally(goals)}. Stock is QEMU of the same source and flags without '
        'this project’s patches. A goal is met, or missed, by the whole of its '
        '95 % interval; if that contains the limit, it is not decided, and as '
        'stock if it contains what stock is, too, and at its limit if it contains '
        'nothing that is more than 10 % from it. Where a goal is for several '
        'clocks, the worst one is shown, and its interval is so wide that those of '
        'all clocks hold together.</p>'
        f'<table>{lines}</table>' + goals_html(results)
        + ''.join(map(result_html, results)) + '</main></html>\n',
        encoding='utf-8')
