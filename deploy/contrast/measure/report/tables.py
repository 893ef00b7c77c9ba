"""Tables: the numbers of the charts, what is words and no number, and all ratios."""

from __future__ import annotations

import re
from html import escape

from .book import OURS, Book, cell, measure_name
from .charts import Panel

ANSWERS = {"2": "let in", "4": "refused"}


def prose(text: str) -> str:
    """Plain text in HTML; no line ends within an option such as --nothreading, or between a number and its unit."""
    text = re.sub(r"(?<=\d) (?=(ms|s|MiB)\b)", "\N{NO-BREAK SPACE}", escape(text))
    return re.sub(r"--[\w-]+", r'<span class="nb">\g<0></span>', text)


def table(caption: str, head: list[str], rows: list[list[str]], kind: str = "") -> str:
    """Of plain text. On a narrow screen it moves sideways, by keyboard, too."""
    heads = "".join(f'<th scope="col">{prose(one)}</th>' for one in head)
    body = "".join(
        f'<tr><th scope="row">{prose(row[0])}</th>{"".join(f"<td>{prose(one)}</td>" for one in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll {kind}" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def of_panels(book: Book, panels: list[Panel], caption: str) -> str:
    """The same numbers as the charts: a row a system, a column a series."""
    series = [
        (f"{panel.heading}: {one.label}" if one.label else panel.heading, one.rows)
        for panel in panels
        for one in panel.series
    ]
    systems = [system for system in book.names if any(system in rows for _, rows in series)]
    rows = [[book.name(system), *(cell(found.get(system)) for _, found in series)] for system in systems]
    return table(caption, ["System", *(label for label, _ in series)], rows)


def in_words(book: Book, caption: str, columns: dict[str, str]) -> str:
    """Measures whose values are words; empty when there are none."""
    found = {label: book.main(measure) for measure, label in columns.items()}
    found = {label: rows for label, rows in found.items() if rows}
    systems = [system for system in book.names if any(system in rows for rows in found.values())]
    rows = [[book.name(system), *(answer(one.get(system)) for one in found.values())] for system in systems]
    return table(caption, ["System", *found], rows, "words") if systems else ""


def answer(row: dict | None) -> str:
    text = cell(row)
    meaning = ANSWERS.get(text[:1]) if row and row["measure"].startswith("token.") else None
    return f"{text}, {meaning}" if meaning else text


def ratios(book: Book) -> str:
    measures = list(
        dict.fromkeys(
            (row["measure"], row.get("connections")) for row in book.rows if row["measure"].startswith("ratio.")
        )
    )
    if not measures:
        return ""
    systems = [system for system in book.names if system != OURS]
    rows = []
    for measure, connections in measures:
        found = book.of(measure, connections)
        name = measure_name(measure.removeprefix("ratio."))
        rows.append(
            [
                name if connections is None else f"{name} ({connections})",
                *(cell(found.get(system)) for system in systems),
            ]
        )
    return table(
        f"{book.name(OURS)} over each system", ["Measure (connections)", *map(book.name, systems)], rows, "ratios"
    )
