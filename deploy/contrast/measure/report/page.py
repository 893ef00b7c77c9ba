"""contrast.html: one file that needs nothing else, not even a script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from . import tables, words
from .book import OURS, Book, bare, figure, measure_name, values
from .charts import SIGNS, Panel, draw
from .sections import Figure, Section, connections, crowd, sections, with_load
from .tables import prose

NUMBERS = dict(enumerate(("Two", "Three", "Four", "Five", "Six", "Seven", "Eight"), 2))
HERE = Path(__file__).parent
GUARD = {"tls.versions": "TLS versions", "tls.groups": "Key exchange groups", "headers.security": "Security headers"}
TOKENS = {
    "token.good": "A good one",
    "token.bad-signature": "Bad signature",
    "token.expired": "Expired",
    "token.none": "“alg: none”",
}


def page(book: Book) -> str:
    style = (HERE / "page.css").read_text()
    charts = sections(book)
    found = [(one.key, one.title) for one in charts]
    body = "".join(section(book, one) for one in charts)
    for key, title, content in closing(book):
        if content:
            found.append((key, title))
            body += part(key, title, content)
    return Template((HERE / "page.html").read_text()).substitute(
        style=style,
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        lead=lead(book),
        headline=headline(book),
        contents="".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in found),
        rounds=rounds(book),
        body=body,
    )


def rounds(book: Book) -> str:
    count = book.conditions.get("rounds")
    return f"the {count} rounds" if count else "the rounds"


def lead(book: Book) -> str:
    names = [book.name(system) for system in book.names if any(row["system"] == system for row in book.rows)]
    if len(names) < 2:
        return prose(f"What {names[0]} does under load, alone on one machine." if names else "Nothing was measured.")
    return prose(
        f"{NUMBERS.get(len(names), len(names))} ways to run the same small service, from"
        f" {names[0]} to {names[-1]}, were put under the same load on one machine, one after the other, again and"
        " again. This page shows what those who ask get from each: how much, how soon, and what is lost when something"
        " breaks or is replaced."
    )


def headline(book: Book) -> str:
    slow, storm = (crowd(book.load(measure)) for measure in ("slow.constant.p99", "storm.whoami.p99"))
    cards = {
        "closed.me.rate": with_load("Signed-in user, one database read", book.load("closed.me.rate")),
        "slow.constant.p99": f"p99 of a constant answer while {slow} sleep",
        "storm.whoami.p99": f"p99 of the signed-in user while {storm} sign in",
        "reload.lost": "Requests lost in a restart",
    }
    return "".join(card(book, measure, title) for measure, title in cards.items() if OURS in values(book.main(measure)))


def card(book: Book, measure: str, title: str) -> str:
    rows, load = book.main(measure), book.load(measure)
    others = [one for one in dict.fromkeys((words.best_other(book, measure, load), words.SINGLE)) if one in rows]
    list_ = "".join(f"<div><dt>{prose(book.name(one))}</dt><dd>{escape(short(rows[one]))}</dd></div>" for one in others)
    big, _, unit = figure(rows[OURS]["value"], rows[OURS]["unit"]).partition(" ")
    return (
        f'<li class="card"><h2 class="eyebrow">{escape(title)}</h2>'
        f'<p class="big">{big} <small>{escape(unit)}</small></p>'
        f'<p class="whose">{escape(book.name(OURS))}</p>{f"<dl>{list_}</dl>" if list_ else ""}</li>'
    )


def short(row: dict) -> str:
    return "fault" if "fault" in row else bare(row["value"], row["unit"])


def section(book: Book, one: Section) -> str:
    figures, places = "", layout(one)
    for number, (figure_, place) in enumerate(zip(one.figures, places, strict=True)):
        figures += drawn(book, one, figure_, f"{one.key}-{number}", place)
    return part(one.key, one.title, f'<p class="intro">{escape(one.intro)}</p><div class="figures">{figures}</div>')


def layout(one: Section) -> list[str]:
    """On a wide screen two figures of one chart stand beside each other, and a third has its words beside it."""
    singles = [number for number, figure_ in enumerate(one.figures) if len(figure_.panels) == 1]
    alone = singles[-1:] if len(singles) % 2 else []
    return ["solo" if number in alone else "single" if number in singles else "" for number in range(len(one.figures))]


def part(key: str, title: str, content: str) -> str:
    return f'<section id="{key}"><h2>{escape(title)}</h2>{content}</section>'


def drawn(book: Book, of: Section, one: Figure, key: str, place: str) -> str:
    charts = ""
    for number, panel in enumerate(one.panels):
        svg = draw(book, panel, f"{key}-{number}", scale(panel, one.panels))
        charts += f'<div class="panel"><h3>{escape(panel.heading)}</h3>{svg}{legend(panel)}</div>'
    faulty = words.faulty(book, [series.rows for panel in one.panels for series in panel.series])
    told = "".join(f"<p>{prose(sentence)}</p>" for sentence in [*one.sentences, faulty] if sentence)
    caption = f"{of.title}: {one.panels[0].heading}" + (" and so on" if len(one.panels) > 1 else "")
    numbers = f"<details><summary>The same in numbers</summary>{tables.of_panels(book, one.panels, caption)}</details>"
    columns = 3 if len(one.panels) % 3 == 0 else min(len(one.panels), 2)
    return (
        f'<figure class="{place}"><div class="panels n{columns}">{charts}</div>'
        f"<figcaption>{told}{numbers}</figcaption></figure>"
    )


def scale(panel: Panel, all_: list[Panel]) -> tuple[float, float]:
    """Charts of one unit that stand together have one scale."""
    alike = [one for one in all_ if (one.unit, one.marks) == (panel.unit, panel.marks)]
    return min(one.lowest() for one in alike), max(one.highest() for one in alike)


def legend(panel: Panel) -> str:
    if not panel.marks:
        return ""
    told = (f"<span>{SIGNS[number]} {escape(one.label)}</span>" for number, one in enumerate(panel.series))
    return f'<p class="marks">{" ".join(told)}</p>'


def closing(book: Book) -> list[tuple[str, str, str]]:
    guard = tables.in_words(book, "TLS and security headers", GUARD)
    tokens = tables.in_words(book, "What a token achieves", TOKENS)
    return [
        ("tls", "TLS and security headers", guard and paragraph(UNENCRYPTED) + guard),
        ("tokens", "What a bad token achieves", tokens and paragraph(words.let_in(book)) + tokens),
        ("method", "How it was measured", method(book)),
        ("ratios", "All ratios", ratios(book)),
    ]


def paragraph(text: str) -> str:
    return f'<p class="intro">{escape(text)}</p>' if text else ""


def ratios(book: Book) -> str:
    found = tables.ratios(book)
    text = (
        "Roadstead's value divided by the system's, paired round by round: the median and, in brackets, the smallest"
        " and the largest. Of requests a second, more than 1× is better; of times, memory and losses, less than 1×."
    )
    return found and f"{paragraph(text)}<details><summary>All of them</summary>{found}</details>"


UNENCRYPTED = (
    "A server without TLS is compared without it: what it does not encrypt costs it nothing, "
    "which is in its favour above."
)
METHOD = """
Systems take turns: in each round every system is measured once, and all others are frozen meanwhile. A value is the
median of the rounds; the whiskers and brackets are the smallest and the largest round.

The load generator, the health checks and all that is measured share the machine's cores. That is no network and no
client of yours: compare the systems, and do not take a number for what your machine will give.

Status and body of each answer are checked while the load runs. A system that answers wrongly has a fault in place of
a number.

What speaks no TLS is compared without it, and the peers' database connection is a unix socket without TLS: both are in
their favour.

Passwords are hashed with equal work everywhere: Argon2id, 64 MiB, two passes, one lane.
""".strip().split("\n\n")


def method(book: Book) -> str:
    told = book.conditions
    machine = {"cores": "{} cores", "cpu": "{}", "memory_gib": "{} GiB of memory", "kernel": "Linux {}"}
    facts = {
        "Date": told.get("date"),
        "Mode": told.get("mode"),
        "Rounds": told.get("rounds"),
        "Machine": " · ".join(text.format(told[key]) for key, text in machine.items() if told.get(key)),
        "Load generator": told.get("load_client"),
        "Versions": " · ".join(f"{name} {version}" for name, version in told.get("versions", {}).items()),
        "Took": duration(told.get("seconds")),
    }
    list_ = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts.items() if value
    )
    systems = "".join(
        f"<div><dt>{prose(one['name'])}</dt><dd>{prose(one.get('note') or '')}</dd></div>"
        for one in told.get("systems", [])
    )
    points = "".join(f"<li>{prose(text)}</li>" for text in (*METHOD, *told.get("notes", [])))
    return (
        f'<ul class="points">{points}</ul><h3>Conditions</h3><dl class="facts">{list_}</dl>'
        f'<h3>The systems</h3><dl class="facts">{systems}</dl>{faults(book)}'
    )


def duration(seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def faults(book: Book) -> str:
    found = [
        [book.name(row["system"]), measure_name(row["measure"]), connections(row.get("connections")), row["fault"]]
        for row in book.faults()
    ]
    heads = ["System", "Measure", "Connections", "Fault"]
    return f"<h3>Faults</h3>{tables.table('What went wrong', heads, found, 'words')}" if found else ""
