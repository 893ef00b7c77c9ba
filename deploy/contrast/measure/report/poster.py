"""The README's part: a small chart with a ground of its own, legible by day and by night, and a table."""

from __future__ import annotations

from html import escape

from . import words
from .book import Book, bare, family, values

IMAGE = "deploy/contrast/report/contrast.svg"
PAGE = "deploy/contrast/report/contrast.html"
WIDTH, ROW, TOP = 900, 36, 92
NAME, LEFT, RIGHT, BAR = 24, 296, 612, 190  # where the names and the two charts begin, and how long a bar can be

STYLE = """
text{font:16px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:#10242e}
.ground{fill:#f6f3ea;stroke:#d9d4c3}.head{font-weight:600}.soft{fill:#48616d;font-size:14px}.fault{fill:#a3271e;font-style:italic}
.number,.name.ours{font-weight:600}.name.ours{fill:#0b6480}
.bar{fill:#7c8f98;stroke:#7c8f98}rect.development{fill:url(#s);stroke:#a08d57}
rect.ours{fill:#0b6480;stroke:#0b6480}rect.development.ours{fill:url(#o)}.s{stroke:#a08d57}.o{stroke:#0b6480}
@media(prefers-color-scheme:dark){
text{fill:#e6eff2}.ground{fill:#0b1820;stroke:#24404c}.soft{fill:#a2b7c1}.fault{fill:#ffa096}.name.ours{fill:#7ccbe2}
.bar{fill:#7f97a2;stroke:#7f97a2}rect.development{stroke:#a8945c}
rect.ours{fill:#7ccbe2;stroke:#7ccbe2}rect.development.ours{fill:url(#o)}.s{stroke:#a8945c}.o{stroke:#7ccbe2}}
"""
STRIPES = "".join(
    f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path'
    f' class="{name}" d="M1.5 0v6" stroke-width="3.2"/></pattern>'
    for name in "so"
)


def columns(book: Book) -> list[tuple[int, str, str, str]]:
    """Where, which measure, and its two lines of heading."""
    load, sleepers = book.load("closed.me.rate"), book.load("slow.constant.p99")
    return [
        (LEFT, "closed.me.rate", "Requests a second", f"signed in, {load} connections: longer is better"),
        (RIGHT, "slow.constant.p99", "99 of 100 answers within", f"while {sleepers} others sleep: shorter is better"),
    ]


def poster(book: Book) -> str:
    shown = [one for one in columns(book) if book.main(one[1])]
    systems = [system for system in book.names if any(system in book.main(one[1]) for one in shown)]
    height = TOP + ROW * len(systems) + 14
    parts = [
        f'<text class="head" x="{x}" y="38">{escape(head)}</text><text class="soft" x="{x}"'
        f' y="60">{escape(soft)}</text>'
        for x, _, head, soft in shown
    ]
    for number, system in enumerate(systems):
        y = TOP + ROW * number
        parts.append(f'<text class="name {family(system)}" x="{NAME}" y="{y + 17}">{escape(book.name(system))}</text>')
        parts += [bar(book, measure, system, x, y) for x, measure, _, _ in shown if system in book.main(measure)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' role="img" aria-labelledby="t d"><title id="t">The contrast</title><desc'
        f' id="d">{escape(summary(book))}</desc><style>{STYLE}</style>{STRIPES}<rect class="ground" x=".5" y=".5"'
        f' width="{WIDTH - 1}" height="{height - 1}" rx="12"/>{"".join(parts)}</svg>\n'
    )


def bar(book: Book, measure: str, system: str, x: int, y: int) -> str:
    rows = book.main(measure)
    row = rows[system]
    if "fault" in row:
        return f'<text class="fault" x="{x}" y="{y + 17}">fault: no number</text>'
    width = BAR * row["value"] / (max(values(rows).values()) or 1)
    return (
        f'<rect class="bar {family(system)}" x="{x}" y="{y + 2}" width="{max(width, 1.5):.1f}" height="20" rx="2"/>'
        f'<text class="number" x="{x + width + 10:.1f}" y="{y + 18}">{escape(bare(row["value"], row["unit"]))}</text>'
    )


def summary(book: Book) -> str:
    """The chart in words: its alternative text."""
    load, sleepers = book.load("closed.me.rate"), book.load("slow.constant.p99")
    told = [
        words.compared(
            book, "closed.me.rate", load, f"Signed-in user, one database read, {load} connections: ", " answers"
        ),
        words.compared(
            book, "slow.constant.p99", sleepers, f"While {sleepers} others sleep: ", "’s p99 of a constant answer is"
        ),
    ]
    return " ".join(one for one in told if one)


TABLE = {
    "closed.me.rate": "requests/s, signed in",
    "open.me.p99": "their p99",
    "slow.constant.p99": "p99 while others sleep",
    "storm.whoami.p99": "p99 while others sign in",
    "reload.lost": "lost in a restart",
    "replace.lost": "lost in a replacement",
    "memory.pss": "memory, MiB",
}


def block(book: Book) -> str:
    shown = {measure: head for measure, head in TABLE.items() if book.main(measure)}
    image = [f"![{markdown(summary(book))}]({IMAGE})"] if any(book.main(one[1]) for one in columns(book)) else []
    systems = [system for system in book.names if any(system in book.main(measure) for measure in shown)]
    lines = ["| | " + " | ".join(shown.values()) + " |", "|---|" + "--:|" * len(shown)]
    lines += [
        f"| {markdown(book.name(system))} | "
        + " | ".join(markdown(told(book.main(measure).get(system))) for measure in shown)
        + " |"
        for system in systems
    ]
    return "\n\n".join([*image, *(["\n".join(lines)] if systems else []), line(book)]) + "\n"


def told(row: dict | None) -> str:
    if row is None:
        return "–"
    return f"fault: {row['fault']}" if "fault" in row else bare(row["value"], row["unit"])


def line(book: Book) -> str:
    facts = book.conditions
    load = book.load("closed.me.rate")
    parts = [
        f"Medians of {facts['rounds']} interleaved rounds" if facts.get("rounds") else "Medians",
        f"{load} connections" if load else "",
        (
            f"{facts['cores']} cores ({facts.get('cpu') or 'unknown'}), the load generator on them, too"
            if facts.get("cores")
            else ""
        ),
        f"Linux {facts['kernel']}" if facts.get("kernel") else "",
        str(facts.get("date") or ""),
    ]
    return (
        f"{markdown(', '.join(part for part in parts if part))}. `scripts/contrast.sh` measures it on yours and writes"
        f" [the whole report]({PAGE})."
    )


def markdown(text: str) -> str:
    """Plain text in Markdown, in a table and in an image's brackets, too."""
    for sign in "\\|[]*_`<":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return " ".join(text.split())
