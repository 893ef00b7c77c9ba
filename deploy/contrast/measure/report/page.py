"""contrast.html: one file that needs nothing else, not even a script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from . import tables, words
from .book import OURS, Book, cell, figure, measure_name, values
from .charts import Panel, draw
from .sections import Figure, Section, connections, sections

HERE = Path(__file__).parent
GUARD = {"tls.versions": "TLS versions", "tls.groups": "Key exchange groups", "headers.security": "Security headers"}
TOKENS = {"token.good": "A good one", "token.bad-signature": "Bad signature", "token.expired": "Expired", "token.none": "“alg: none”"}


def page(book: Book) -> str:
    style = (HERE / "page.css").read_text()
    charts = sections(book)
    found = [(one.key, one.title) for one in charts]
    body = grouped([(one.narrow, section(book, one)) for one in charts])
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
    who = f"{len(names)} ways to run one and the same service" if len(names) > 1 else "One way to run a service"
    return escape(
        f"{who} ({words.listed(names)}) answer the same requests on one machine, one at a time, under the same load. "
        "This page shows what each gives to those who ask, in speed, in waiting and in lost requests; every number comes from that run."
        if names
        else "Nothing was measured."
    )


def headline(book: Book) -> str:
    slow, storm = (connections_of(book, measure) for measure in ("slow.constant.p99", "storm.whoami.p99"))
    cards = {
        "closed.me.rate": f"Signed-in user, one database read, {connections(book.load('closed.me.rate'))}",
        "slow.constant.p99": f"p99 of a constant answer while {slow} others sleep",
        "storm.whoami.p99": f"p99 of the signed-in user while {storm} others sign in",
        "replace.lost": "Requests lost while the application is replaced",
    }
    return "".join(card(book, measure, title) for measure, title in cards.items() if OURS in values(book.main(measure)))


def connections_of(book: Book, measure: str) -> str:
    load = book.load(measure)
    return str(load) if load else ""


def card(book: Book, measure: str, title: str) -> str:
    rows, load = book.main(measure), book.load(measure)
    others = [one for one in dict.fromkeys((words.best_other(book, measure, load), words.SINGLE)) if one in rows]
    list_ = "".join(f"<div><dt>{escape(book.name(one))}</dt><dd>{escape(short(rows[one]))}</dd></div>" for one in others)
    big, _, unit = short(rows[OURS]).partition(" ")
    return (
        f'<li class="card"><h2 class="eyebrow">{escape(title)}</h2><p class="big">{big} <small>{escape(unit)}</small></p>'
        f'<p class="whose">{escape(book.name(OURS))}</p>{f"<dl>{list_}</dl>" if list_ else ""}</li>'
    )


def short(row: dict) -> str:
    return "fault" if "fault" in row else figure(row["value"], row["unit"]).replace("requests/s", "a second")


def grouped(parts: list[tuple[bool, str]]) -> str:
    """Narrow sections that follow each other stand in a row."""
    html, row = "", ""
    for narrow, text in [*parts, (False, "")]:
        if row and not narrow:
            html, row = f'{html}<div class="row">{row}</div>', ""
        html, row = (html, row + text) if narrow else (html + text, row)
    return html


def section(book: Book, one: Section) -> str:
    figures = "".join(drawn(book, one, figure_, f"{one.key}-{number}") for number, figure_ in enumerate(one.figures))
    return part(one.key, one.title, f'<p class="intro">{escape(one.intro)}</p>{figures}')


def part(key: str, title: str, content: str) -> str:
    return f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{escape(title)}</h2>{content}</section>'


def drawn(book: Book, of: Section, one: Figure, key: str) -> str:
    charts = "".join(
        f'<div class="panel"><h3>{escape(panel.heading)}</h3>{draw(book, panel, f"{key}-{number}", scale(panel, one.panels))}{legend(panel)}</div>'
        for number, panel in enumerate(one.panels)
    )
    faulty = words.faulty(book, [series.rows for panel in one.panels for series in panel.series])
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in [*one.sentences, faulty] if sentence)
    caption = f"{of.title}: the numbers" if len(of.figures) == 1 else f"{of.title}: the numbers, {one.panels[0].heading.split(',')[0].lower()}"
    numbers = f"<details><summary>The same in numbers</summary>{tables.of_panels(book, one.panels, caption)}</details>"
    return f'<figure><div class="panels n{min(len(one.panels), 3) if len(one.panels) != 4 else 2}">{charts}</div><figcaption>{told}{numbers}</figcaption></figure>'


def scale(panel: Panel, all_: list[Panel]) -> tuple[float, float]:
    """Charts of one unit that stand together have one scale."""
    alike = [one for one in all_ if (one.unit, one.marks) == (panel.unit, panel.marks)]
    return min(one.lowest() for one in alike), max(one.highest() for one in alike)


def legend(panel: Panel) -> str:
    if not panel.marks:
        return ""
    shapes = "●◆▮"
    return f'<p class="marks">{" ".join(f"<span>{shapes[number]} {escape(one.label)}</span>" for number, one in enumerate(panel.series))}</p>'


def closing(book: Book) -> list[tuple[str, str, str]]:
    guard = tables.in_words(book, "TLS and security headers", GUARD)
    tokens = tables.in_words(book, "What a token achieves", TOKENS)
    return [
        ("tls", "TLS and security headers", guard and paragraph("A server without TLS is compared without it: what it does not encrypt costs it nothing, which is in its favour above.") + guard),
        ("tokens", "What a bad token achieves", tokens and paragraph(words.let_in(book)) + tokens),
        ("method", "How it was measured", method(book)),
        ("ratios", "All ratios", ratios(book)),
    ]


def paragraph(text: str) -> str:
    return f'<p class="intro">{escape(text)}</p>' if text else ""


def ratios(book: Book) -> str:
    found = tables.ratios(book)
    text = (
        "Roadstead's value divided by the system's, paired round by round: the median and, in brackets, the smallest and the largest. "
        "Of requests a second, more than 1× is better; of times, memory and losses, less than 1×."
    )
    return found and paragraph(text) + found


METHOD = (
    "Systems take turns: in each round every system is measured once, and all others are frozen meanwhile. A value is the median of the rounds; the whiskers and brackets are the smallest and the largest round.",
    "The load generator, the health checks and all that is measured share the machine's cores. That is no network and no client of yours: compare the systems, and do not take a number for what your machine will give.",
    "Status and body of each answer are checked while the load runs. A system that answers wrongly has a fault in place of a number.",
    "What speaks no TLS is compared without it, and the peers' database connection is a unix socket without TLS: both are in their favour.",
    "Passwords are hashed with equal work everywhere: Argon2id, 64 MiB, two passes, one lane.",
)


def method(book: Book) -> str:
    told = book.conditions
    machine = " · ".join(
        text for key, text in (("cores", "{} cores"), ("cpu", "{}"), ("memory_gib", "{} GiB of memory"), ("kernel", "Linux {}")) if told.get(key) for text in [text.format(told[key])]
    )
    facts = {
        "Date": told.get("date"),
        "Mode": told.get("mode"),
        "Rounds": told.get("rounds"),
        "Machine": machine,
        "Load generator": told.get("load_client"),
        "Versions": " · ".join(f"{name} {version}" for name, version in told.get("versions", {}).items()),
        "Took": duration(told.get("seconds")),
    }
    list_ = "".join(f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts.items() if value)
    systems = "".join(f"<div><dt>{escape(one['name'])}</dt><dd>{escape(one.get('note') or '')}</dd></div>" for one in told.get("systems", []))
    points = "".join(f"<li>{escape(text)}</li>" for text in (*METHOD, *told.get("notes", [])))
    return f'<ul class="points">{points}</ul><h3>Conditions</h3><dl class="facts">{list_}</dl><h3>The systems</h3><dl class="facts">{systems}</dl>{faults(book)}'


def duration(seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def faults(book: Book) -> str:
    found = [[book.name(row["system"]), f"{measure_name(row['measure'])}{f', {connections(load)}' if (load := row.get('connections')) else ''}", row["fault"]] for row in book.faults()]
    return f"<h3>Faults</h3>{tables.table('What went wrong', ['System', 'Measure', 'Fault'], found, 'words')}" if found else ""
