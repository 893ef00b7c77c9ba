"""The page's sections, in their order. One that nothing was measured for is left out."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import words
from .book import QUANTILES, ROUTES, Book, figure, values
from .charts import Panel, Series


@dataclass
class Figure:
    """Charts beside each other, and the sentences under them."""

    panels: list[Panel]
    sentences: list[str]


@dataclass
class Section:
    key: str
    title: str
    intro: str
    figures: list[Figure] = field(default_factory=list)


def sections(book: Book) -> list[Section]:
    makers = (throughput, latency, waiting, storm, sign_ins, work, interruptions, static, memory, start)
    made = [maker(book) for maker in makers]
    for section in made:
        section.figures = [one for one in section.figures if one.panels]
    return [section for section in made if section.figures]


def bars(book: Book, measure: str, heading: str) -> list[Panel]:
    """One chart of the load to speak of."""
    rows = book.main(measure)
    return [Panel(heading, [Series("", rows)])] if rows else []


def bars_by_load(book: Book, measure: str, what: str) -> list[Panel]:
    return [Panel(with_load(what, load), [Series("", book.of(measure, load))]) for load in book.loads(measure)]


def told_by(book: Book, charts: dict[str, str], before: str, verb: str, reason: str) -> list[Figure]:
    """Bars of each measure, and what is to say of the first."""
    panels = [one for measure, heading in charts.items() for one in bars(book, measure, heading)]
    first = next(iter(charts))
    return [Figure(panels, under(words.compared(book, first, book.load(first), before, verb), reason))]


def marks(book: Book, heading: str, measures: dict[str, str], load: int | None) -> list[Panel]:
    series = [Series(label, book.of(measure, load)) for measure, label in measures.items()]
    series = [one for one in series if one.rows]
    return [Panel(heading, series, marks=True)] if series else []


def connections(load: int | None) -> str:
    return "" if load is None else "1 connection" if load == 1 else f"{load} connections"


def with_load(what: str, load: int | None) -> str:
    return what if load is None else f"{what}, {connections(load)}"


def crowd(load: int | None) -> str:
    return f"{load} others" if load else "others"


def under(*sentences: str) -> list[str]:
    return [one for one in sentences if one]


def throughput(book: Book) -> Section:
    section = Section(
        "throughput",
        "Throughput",
        "How many requests are answered in a second when each connection asks again as soon as it has its answer."
        " Longer is better.",
    )
    reasons = {
        "me": (
            "Python code runs on one thread of a process at a time, so that a process uses one core at most, and each"
            " request is interpreted; Roadstead is compiled, and its workers share all cores."
        ),
        "constant": "Nothing but the server, the framework and, where there is one, the proxy is at work here.",
    }
    for route, what in {"me": "Signed-in user, one database read", "constant": "Constant answer"}.items():
        measure = f"closed.{route}.rate"
        load = book.load(measure)
        sentence = words.compared(book, measure, load, f"With {connections(load)}, ", " answers")
        reason = reasons[route] if route == "constant" or words.ahead(book, measure, load) else ""
        section.figures.append(
            Figure(
                bars_by_load(book, measure, what),
                under(sentence, reason, undressed(book, measure, load), scaling(book, measure)),
            )
        )
    return section


def undressed(book: Book, measure: str, load: int | None) -> str:
    """Why our own development server may be the faster one."""
    better, even = words.factor(book, measure, load, "roadstead-dev") or (1, True)
    if even or better >= 1:
        return ""
    return (
        "Roadstead dev is ahead in this chart because it does less: no TLS, no proxy, no second process, on cores that the"
        " load client shares. What its one thread costs is seen where somebody is slow, below."
    )


def scaling(book: Book, measure: str) -> str:
    """What more connections give to the single-threaded server."""
    loads = book.loads(measure)
    if len(loads) < 2:
        return ""
    few, many = (values(book.of(measure, load)).get(words.SINGLE) for load in (loads[0], loads[-1]))
    if not few or not many:
        return ""
    return (
        f"From {connections(loads[0])} to {loads[-1]}, {book.name(words.SINGLE)} goes from {figure(few)} to"
        f" {figure(many)} a second: it has one thread, whatever the number of those who wait."
    )


QUEUE = (
    "A request that finds all threads or processes busy stands in a queue, and p99.9 shows the queue long before the"
    " median does."
)


def latency(book: Book) -> Section:
    section = Section(
        "latency",
        "Time to an answer",
        "Requests come at a fixed pace, whether or not earlier ones are answered, and the clock of each starts when it"
        " is due: so waiting in a queue counts. Of 1,000 answers, 500 are quicker than the median, 990 than p99, 999"
        " than p99.9. Further left is better; the scale is logarithmic.",
    )
    for route in ("me", "whoami", "constant", "static"):
        what = ROUTES[route].removeprefix("a ").capitalize()
        measures = {f"open.{route}.{key}": QUANTILES[key] for key in ("p50", "p99", "p999")}
        loads = sorted({load for measure in measures for load in book.loads(measure)}, key=lambda n: n or 0)
        panels = [one for load in loads for one in marks(book, with_load(what, load), measures, load)]
        tail = f"open.{route}.p99"
        load = book.load(tail)
        sentence = words.compared(book, tail, load, f"With {connections(load)}, " if load else "", "’s p99 is")
        reason = QUEUE if route == "me" else ""
        section.figures.append(Figure(panels, under(sentence, reason)))
    return section


def waiting(book: Book) -> Section:
    load = book.load("slow.constant.p99")
    sleepers = crowd(load)
    measures = {"slow.constant.quiet.p99": "in quiet, p99", "slow.constant.p99": "p99", "slow.constant.max": "longest"}
    series = [Series(label, book.main(measure)) for measure, label in measures.items()]
    series = [one for one in series if one.rows]
    panels = [Panel(f"Constant answer while {sleepers} sleep", series, marks=True)] if series else []
    sentence = words.compared(book, "slow.constant.p99", load, f"While {sleepers} sleep, ", "’s p99 is")
    reason = (
        "Sleeping takes no computing at all, only somebody who waits. A thread or a process that waits serves nobody"
        " else, and when all of them wait, the next request waits, too. In Roadstead a waiting request is a timer and"
        " holds no thread; its development server has the same handler, but takes one request at a time."
    )
    return Section(
        "slow",
        "A slow request: waiting",
        f"What a request that has nothing to do takes while {sleepers} each wait a fifth of a second for something, as a"
        " slow neighbour does. Further left is better; the scale is logarithmic.",
        [Figure(panels, under(sentence, reason))],
    )


def storm(book: Book) -> Section:
    load = book.load("storm.whoami.p99")
    measures = {"storm.whoami.p50": "median", "storm.whoami.p99": "p99"}
    panels = marks(book, f"Signed-in user while {crowd(load)} sign in", measures, load)
    panels += bars(book, "storm.sign-in.rate", "Sign-ins a second meanwhile")
    sentence = words.compared(
        book, "storm.whoami.p99", load, f"While {crowd(load)} sign in all the time, ", "’s p99 is"
    )
    reason = (
        "A sign-in is a password hash, which is nothing but computing: no way of waiting makes it cheaper, it takes a"
        " core for its time. Roadstead hashes on a few threads of low priority with a short queue; its development"
        " server has the same handler, but takes one request at a time."
    )
    return Section(
        "storm",
        "A sign-in storm: computing",
        "The same question with neighbours that compute instead of waiting. Further left is better in the first chart,"
        " longer in the second.",
        [Figure(panels, under(sentence, reason))],
    )


def sign_ins(book: Book) -> Section:
    charts = {"sign-in.rate": "Sign-ins a second, many at once", "sign-in.p50": "One sign-in alone, median"}
    reason = (
        "The hash is the same everywhere (Argon2id, 64 MiB, two passes): the cores set the limit, and whoever uses all"
        " of them comes close to it."
    )
    return Section(
        "sign-ins",
        "Sign-ins",
        "What a server's cores give when passwords are hashed as they should be.",
        told_by(book, charts, "Many at once, ", " completes", reason),
    )


def work(book: Book) -> Section:
    panels = []
    for route, heading in {"me": "With one database read each", "whoami": "With none each"}.items():
        panels += bars(book, f"closed.{route}.rate", f"{heading}: requests a second")
    told = [
        words.compared(book, measure, book.load(measure), f"{how}, ", " answers")
        for how, measure in {"With one read each": "closed.me.rate", "With none": "closed.whoami.rate"}.items()
    ]
    reason = (
        "SimpleJWT in its usual form reads the user from the database at every request, and so refuses a disabled"
        " account at once; its stateless form does not read, and an access token is good until it ends. Roadstead needs"
        " no read to know who is asking; its access token is good until it ends, after at most five minutes, in both"
        " charts. So the first chart compares equal work, the second equal work with equal guarantees."
    )
    return Section(
        "work",
        "Equal work, equal guarantees",
        "Who is asking can be known with a read of the database or without.",
        [Figure(panels, under(*told, reason))],
    )


EVENTS = {
    "kill": ("A worker is killed", "When one worker process is killed"),
    "reload": ("A restart", "When the server is restarted"),
    "replace": ("A replacement", "When the containers are replaced, as by a new version"),
}


def interruptions(book: Book) -> Section:
    panels = []
    for what, measure in {"requests lost": "lost", "longest gap": "gap"}.items():
        for event, (heading, _) in EVENTS.items():
            panels += bars(book, f"{event}.{measure}", f"{heading}: {what}")
    told = [words.lost(book, event, sentence) for event, (_, sentence) in EVENTS.items()]
    reason = (
        "A request is lost when it was accepted by a process that ends without answering it, or comes while nobody"
        " accepts. A restart is as each documentation has it: Gunicorn reloads by HUP, uWSGI worker by worker, a development"
        " server is ended and started, Roadstead's slots are replaced one after the other. Where a container is replaced, the"
        " others have one and Roadstead two, whose slots hand over to each other, so that one of them always accepts; what a killed"
        " process was just working on, nobody can save."
    )
    return Section(
        "lost",
        "Killed, restarted, replaced",
        "Under load, POST requests included: how many requests fail, and for how long nobody is answered. Shorter is"
        " better.",
        [Figure(panels, under(*told, reason))],
    )


def static(book: Book) -> Section:
    measure = "closed.static.rate"
    sentence = words.compared(book, measure, book.load(measure), "", " answers")
    reason = (
        "Behind nginx a file does not come from the application at all: stacks with nginx compare one nginx with"
        " another."
    )
    return Section(
        "static",
        "A static file",
        "Requests a second. Longer is better.",
        [Figure(bars_by_load(book, measure, "Static file"), under(sentence, reason))],
    )


def memory(book: Book) -> Section:
    charts = {"memory.pss": "Without the database", "memory.database.pss": "The database"}
    reason = (
        "Counted are all processes when idle, shared pages by their share (PSS). Each Python process holds an"
        " interpreter and the framework."
    )
    figures = told_by(book, charts, "Without the database, ", " takes", reason)
    return Section("memory", "Memory", "MiB, idle. Shorter is better.", figures)


def start(book: Book) -> Section:
    charts = {"start.first-answer": "Start to first answer"}
    reason = "The database, and the proxy where there is one, are there already."
    return Section(
        "start",
        "Start",
        "Until the first answer. Shorter is better.",
        told_by(book, charts, "", "’s first answer comes after", reason),
    )
