"""What the contrast shows: the page, and the README's chart and table. Standard library only.

`python3 -m measure.report FOLDER` makes them anew from the folder's contrast.json and conditions.json.
"""

from __future__ import annotations

import os
from pathlib import Path

from .book import Book
from .page import page
from .poster import block, poster

BEGIN, END = "<!-- contrast -->", "<!-- /contrast -->"


def render(rows: list[dict], conditions: dict, folder: Path) -> None:
    """Writes contrast.html."""
    write(Path(folder) / "contrast.html", page(Book(rows, conditions)))


def render_chart(rows: list[dict], conditions: dict, folder: Path) -> None:
    """Writes contrast.svg, the README's chart."""
    write(Path(folder) / "contrast.svg", poster(Book(rows, conditions)))


def readme(rows: list[dict], conditions: dict) -> str:
    """The README's chart, its table, and a line of conditions, in Markdown."""
    return block(Book(rows, conditions))


def write_readme(path: Path, text: str) -> None:
    """Puts it between the two marks."""
    old = Path(path).read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise ValueError(f"{path} has no place for it: it needs {BEGIN} and {END}, once each, in this order")
    before, rest = old.split(BEGIN)
    write(Path(path), f"{before}{BEGIN}\n{text.strip()}\n{END}{rest.split(END)[1]}")


def write(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    os.replace(new, path)
