"""Bar charts of ratios as SVG text: one bar a benchmark, on a logarithmic scale, with the spread of the rounds.

They are put into the page itself, so their colours are the theme's, light or dark; 400 units wide, they are legible on a phone.
"""

from html import escape
from math import log2
from textwrap import wrap

WIDTH = 400
_LEFT, _RIGHT = 2, 46  # margins; the figure stands in the right one
_LABEL, _BAR, _GAP = 13, 10, 9  # heights; the first of each line of a label
_LETTERS = 76  # of a label on one line


def ratio_chart(title, bars, unit="×", better_above=True):
    """The chart of *bars*, each ``(label, median, smallest, largest)``; a line at 1 stands for the other side.

    With *better_above*, bars beyond the line are the good ones, otherwise those that do not reach it.
    """
    lowest = min(0.9, *(low for _, _, low, _ in bars))
    highest = max(1.1, *(high for _, _, _, high in bars))
    left, right = log2(lowest), log2(highest)

    def x(ratio):
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (log2(max(ratio, lowest)) - left) / (right - left)

    labels = [wrap(label, _LETTERS) for label, *_ in bars]
    height = sum(len(lines) * _LABEL + _BAR + _GAP for lines in labels) + 22
    one = x(1)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for tick in _ticks(lowest, highest):
        kind = "chart-one" if tick == 1 else "chart-tick"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{height - 16}"/>')
        parts.append(f'<text class="chart-axis" x="{x(tick):.1f}" y="{height - 4}" text-anchor="middle">{tick:g}</text>')
    top = 0
    for lines, (_, median, low, high) in zip(labels, bars):
        for line in lines:
            parts.append(f'<text class="chart-label" x="{_LEFT}" y="{top + 10}">{escape(line)}</text>')
            top += _LABEL
        good = (median >= 1) == better_above or abs(median - 1) < 0.03
        start, end = sorted((one, x(median)))
        middle = top + _BAR / 2
        figure = f"{median:.2g}" if median < 10 else f"{median:.0f}"
        parts += [
            f'<rect class="{"chart-good" if good else "chart-bad"}" x="{start:.1f}" y="{top}" '
            f'width="{max(end - start, 1):.1f}" height="{_BAR}" rx="2"/>',
            f'<line class="chart-spread" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            f'<text class="chart-figure" x="{WIDTH}" y="{top + 9}" text-anchor="end">{figure}{unit}</text>',
        ]
        top += _BAR + _GAP
    return "\n".join([*parts, "</svg>"])


def _ticks(lowest, highest):
    """Powers of two within the range; 1 is always one of them."""
    tick = 1 / 16
    while tick <= 1024:
        if lowest <= tick <= highest:
            yield tick
        tick *= 2
