"""Charts as SVG. Places along a line are per cent and heights are em: a chart fills whatever width there is, and its
letters stay as large as those around it."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from html import escape

from .book import Book, bare, family, figure, values

FAULT_WIDTH = 36  # letters in a line, on the narrowest screen


@dataclass
class Series:
    """One measure of all systems."""

    label: str
    rows: dict[str, dict]


@dataclass
class Panel:
    """One chart: bars of one series, or marks of several on a logarithmic line of time."""

    heading: str
    series: list[Series]
    marks: bool = False

    @property
    def unit(self) -> str:
        return next(iter(self.series[0].rows.values()))["unit"]

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(system for one in self.series for system in one.rows))

    def highest(self) -> float:
        return max((row.get("high") or row["value"] for one in self.series for row in numbers(one)), default=0)

    def lowest(self) -> float:
        return min(
            (row.get("low") or row["value"] for one in self.series for row in numbers(one) if row["value"] > 0),
            default=1,
        )


def numbers(series: Series) -> list[dict]:
    return [series.rows[system] for system in values(series.rows)]


def draw(book: Book, panel: Panel, key: str, scale: tuple[float, float]) -> str:
    """The chart; `scale` is the least and the greatest value of all panels that it stands beside."""
    row = marks_row if panel.marks else bar_row
    axis = Axis(*scale, logarithmic=panel.marks)
    parts, y = ([ticks(axis)], 2.0) if panel.marks else ([], 0.0)
    for system in panel.systems:
        svg, height = row(book, panel, system, axis)
        parts.append(f'<svg y="{y:.2f}em" width="100%" overflow="visible">{svg}</svg>')
        y += height
    if panel.marks:
        parts.insert(0, grid(axis, y))
    return (
        f'<svg class="chart" width="100%" height="{y:.2f}em" role="img" aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">{escape(panel.heading)}</title>'
        f'<desc id="{key}-d">{escape(described(book, panel))}</desc>{"".join(parts)}</svg>'
    )


class Axis:
    def __init__(self, low: float, high: float, logarithmic: bool):
        self.logarithmic = logarithmic
        self.low, self.high = (floor_of(low), ceiling_of(max(low, high))) if logarithmic else (0, high or 1)

    def at(self, value: float) -> float:
        """Where on the line, in per cent."""
        if self.logarithmic:
            value = min(max(value, self.low), self.high)
            return 100 * math.log(value / self.low) / math.log(self.high / self.low)
        return 100 * min(value / self.high, 1)

    def decades(self) -> list[float]:
        start, end = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(start, end + 1)]


def floor_of(value: float) -> float:
    return 10.0 ** math.floor(math.log10(value))


def ceiling_of(value: float) -> float:
    return max(10.0 ** math.ceil(math.log10(value)), 10 * floor_of(value))


def bar_row(book: Book, panel: Panel, system: str, axis: Axis) -> tuple[str, float]:
    """A name and a number, and a bar with its spread below them."""
    row = panel.series[0].rows[system]
    if "fault" in row:
        return fault_row(book, system, row["fault"])
    value = escape(bare(row["value"], row["unit"]))
    svg = f'{name(book, system)}<text class="value" x="100%" y="1.05em">{value}</text>'
    svg += '<rect class="track" y="1.45em" width="100%" height=".62em"/>'
    svg += f'<rect class="bar {family(system)}" y="1.45em" width="{axis.at(row["value"]):.2f}%" height=".62em"/>'
    return svg + whisker(row, axis, "1.76em"), 2.65


def whisker(row: dict, axis: Axis, y: str) -> str:
    if row.get("low") is None:
        return ""
    low, high = axis.at(row["low"]), axis.at(row["high"])
    ends = "".join(f'<svg x="{x:.2f}%" y="{y}" overflow="visible"><path d="M0-4V4"/></svg>' for x in (low, high))
    return f'<g class="whisker"><line x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>{ends}</g>'


# The marks as drawn, and as written beside their numbers.
SIGNS = "○◆▮"
SHAPES = ("M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z", "M0-7L7 0 0 7-7 0z", "M-2.5-8h5V8h-5z")


def marks_row(book: Book, panel: Panel, system: str, axis: Axis) -> tuple[str, float]:
    """A name, marks on a line, and their numbers below it."""
    found = [(number, one.rows[system]) for number, one in enumerate(panel.series) if system in one.rows]
    faults = [row["fault"] for _, row in found if "fault" in row]
    if faults:
        return fault_row(book, system, faults[0])
    at = [axis.at(row["value"]) for _, row in found]
    reach = f'<line class="reach" x1="{min(at):.2f}%" x2="{max(at):.2f}%" y1="1.75em" y2="1.75em"/>'
    svg = f'{name(book, system)}<g class="{family(system)}">{reach}'
    for place, (number, row) in zip(at, found, strict=True):
        mark = f'<path class="mark m{number}" d="{SHAPES[number]}"/>'
        svg += f'{spread(row, axis)}<svg x="{place:.2f}%" y="1.75em" overflow="visible">{mark}</svg>'
    told = "\N{EN SPACE}".join(f"{SIGNS[number]} {figure(row['value'], row['unit'])}" for number, row in found)
    return svg + f'</g><text class="told" y="3.15em">{escape(told)}</text>', 4.6


def spread(row: dict, axis: Axis) -> str:
    if row.get("low") is None:
        return ""
    low, high = axis.at(row["low"]), axis.at(row["high"])
    return f'<rect class="spread" x="{low:.2f}%" width="{high - low:.2f}%" y="1.35em" height=".8em"/>'


def fault_row(book: Book, system: str, fault: str) -> tuple[str, float]:
    lines = textwrap.wrap(f"fault: {fault}", FAULT_WIDTH)
    svg = "".join(
        f'<text class="fault" y="{2.3 + 1.25 * i:.2f}em">{escape(line)}</text>' for i, line in enumerate(lines)
    )
    return name(book, system) + svg, 2.3 + 1.25 * len(lines)


def name(book: Book, system: str) -> str:
    return f'<text class="name {family(system)}" y="1.05em">{escape(book.name(system))}</text>'


def ticks(axis: Axis) -> str:
    """The scale of time above the rows; the outer ones stay inside."""
    svg, decades = "", axis.decades()
    every = 1 if len(decades) <= 5 else 2  # narrow screens have no room for more
    for number, value in list(enumerate(decades))[::every]:
        side = "start" if number == 0 else "end" if number == len(decades) - 1 else "middle"
        svg += f'<text class="tick {side}" x="{axis.at(value):.2f}%" y="1em">{figure(value, "ms")}</text>'
    return svg


def grid(axis: Axis, height: float) -> str:
    places = (f"{axis.at(value):.2f}%" for value in axis.decades())
    return (
        '<g class="grid">'
        + "".join(f'<line x1="{x}" x2="{x}" y1="1.4em" y2="{height - 0.4:.2f}em"/>' for x in places)
        + "</g>"
    )


def described(book: Book, panel: Panel) -> str:
    """What a screen reader says in place of the picture."""
    told = []
    for system in panel.systems:
        rows = [(one.label, one.rows[system]) for one in panel.series if system in one.rows]
        told.append(f"{book.name(system)}: " + ", ".join(f"{label} {said(row)}".strip() for label, row in rows))
    return "; ".join(told) + "."


def said(row: dict) -> str:
    return f"fault, {row['fault']}" if "fault" in row else figure(row["value"], row["unit"])
