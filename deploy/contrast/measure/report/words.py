"""Sentences that are true whatever was measured: each number comes from the rows, each "more" from a comparison."""

from __future__ import annotations

from .book import DEVELOPMENT, OURS, Book, bare, figure, is_number, more_is_better, significant, values

SINGLE = "django-single"
BEST = ", the best of the other production stacks"


def best_other(book: Book, measure: str, connections: int | None) -> str | None:
    """The best production stack that is not ours."""
    found = production(book.of(measure, connections))
    if not found:
        return None
    return (max if more_is_better(measure) else min)(found, key=found.get)


def production(rows: dict[str, dict]) -> dict[str, float]:
    return {system: value for system, value in values(rows).items() if system not in DEVELOPMENT and system != OURS}


def factor(book: Book, measure: str, connections: int | None, other: str) -> tuple[float, bool] | None:
    """How many times better Roadstead did than the other, and whether that is within the spread."""
    rows = book.of(measure, connections)
    found = values(rows)
    if not found.get(OURS) or not found.get(other):
        return None
    ratio = book.of(f"ratio.{measure}", connections).get(other, {})
    if is_number(ratio.get("value")) and ratio["value"] > 0:
        times, even = ratio["value"], ratio["low"] is not None and ratio["low"] <= 1 <= ratio["high"]
    else:
        times, even = found[OURS] / found[other], overlap(rows[OURS], rows[other])
    return (times if more_is_better(measure) else 1 / times), even


def overlap(one: dict, other: dict) -> bool:
    if one.get("low") is None or other.get("low") is None:
        return one["value"] == other["value"]
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def ahead(book: Book, measure: str, connections: int | None) -> bool:
    """Whether Roadstead did better than the best of the other stacks, beyond the spread."""
    other = best_other(book, measure, connections)
    found = factor(book, measure, connections, other) if other else None
    return bool(found) and found[0] > 1 and not found[1]


def times(value: float) -> str:
    return f"{significant(value, 2)} times"


def compared(book: Book, measure: str, connections: int | None, before: str, verb: str) -> str:
    """Roadstead beside the best of the other stacks, the single-threaded server, and itself in development."""
    rows = book.of(measure, connections)
    found = values(rows)
    if OURS not in found:
        return extremes(book, rows, before)
    start = f"{before}{book.name(OURS)}{verb} {figure(found[OURS], rows[OURS]['unit'])}"
    best = best_other(book, measure, connections)
    others = [one for one in (best, SINGLE, "roadstead-dev") if one in found]
    parts = [beside(book, measure, connections, other, first=other == others[0]) for other in others]
    if not parts:
        return f"{start}."
    return f"{start}: {listed(parts)}." if more_is_better(measure) else f"{start}. {listed(parts)}."


def beside(book: Book, measure: str, connections: int | None, other: str, first: bool) -> str:
    """`14 times as many as nginx + uWSGI (980)`, or `nginx + uWSGI takes 7 times as long (8 s)`."""
    rows = book.of(measure, connections)
    value = f"({bare(rows[other]['value'], rows[other]['unit'])})"
    best = other == best_other(book, measure, connections) and len(production(rows)) > 1
    name = book.name(other) + (BEST if best else "")
    better, even = factor(book, measure, connections, other) or (None, False)
    if better is None:
        return f"{name} {value}"
    how, alike = ("as", " within the spread") if even else (f"{times(better)} as", "")
    comma = "," if best else ""
    if more_is_better(measure):
        return f"{how} many as {name}{alike and comma + alike} {value}"
    size = "much" if rows[other]["unit"] == "MiB" else "long"
    return f"{name}{comma} {'takes ' if first else ''}{how} {size}{alike} {value}"


def extremes(book: Book, rows: dict[str, dict], before: str) -> str:
    """What can be said without Roadstead."""
    found = values(rows)
    ends = dict.fromkeys((min(found, key=found.get), max(found, key=found.get))) if found else {}
    told = " and ".join(f"{book.name(one)} {figure(found[one], rows[one]['unit'])}" for one in ends)
    return f"{before}{'the extremes are ' if len(ends) > 1 else ''}{told}." if told else ""


def lost(book: Book, event: str, before: str) -> str:
    """What an event costs, in requests and time: Roadstead, the best other stack, the single-threaded server."""
    found, gaps = values(book.main(f"{event}.lost")), values(book.main(f"{event}.gap"))
    others = production({system: {"value": found[system]} for system in found})
    best = min(others, key=lambda system: (found[system], gaps.get(system, 0)), default=None)
    parts = []
    for system in (OURS, best, SINGLE):
        if system in found:
            name = book.name(system) + (f"{BEST}," if system == best and len(others) > 1 else "")
            gap = f" and has a longest gap of {figure(gaps[system], 'ms')}" if system in gaps else ""
            parts.append(f"{name} loses {figure(found[system], 'requests')}{gap}")
    return f"{before}, {'; '.join(parts)}." if parts else ""


def listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def faulty(book: Book, rows: list[dict[str, dict]]) -> str:
    """Who has no number here, and why a fast error is none."""
    systems = dict.fromkeys(system for one in rows for system, row in one.items() if "fault" in row)
    if not systems:
        return ""
    return (
        f"A fault ({listed([book.name(one) for one in systems])}) stands for wrong answers, for none, or for a set-up that"
        " failed: its words say which. A fast error is not speed."
    )


def let_in(book: Book) -> str:
    """Whom a bad token fools."""
    rows = {kind: book.main(f"token.{kind}") for kind in ("bad-signature", "expired", "none")}
    if not any(rows.values()):
        return ""
    fooled = [
        f"{book.name(system)} ({kind})"
        for kind, found in rows.items()
        for system, row in found.items()
        if str(row.get("value", "")).startswith("2")
    ]
    if fooled:
        return f"A bad token is let in by {listed(fooled)}."
    if any("fault" in row for found in rows.values() for row in found.values()):
        return "No bad token is let in; where it says fault, the answer was neither the one nor the other."
    return (
        "No system lets a bad token in. Here a development server is no worse: the check is the framework's, not the"
        " server's."
    )
