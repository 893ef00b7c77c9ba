"""Sentences that are true whatever was measured: each number comes from the rows, each "more" from a comparison."""

from __future__ import annotations

from .book import DEVELOPMENT, OURS, Book, figure, is_number, more_is_better, significant, values

SINGLE = "django-single"


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


def ahead(book: Book, measure: str, connections: int | None, other: str | None = None) -> bool:
    """Whether Roadstead did better than the best of the other stacks (or than this one), beyond the spread."""
    other = other or best_other(book, measure, connections)
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
    others = [best_other(book, measure, connections), SINGLE, "roadstead-dev"]
    parts = [beside(book, measure, connections, other) for other in others if other in found]
    if not parts:
        return f"{start}."
    return f"{start}: {listed(parts)}." if more_is_better(measure) else f"{start}; {listed(parts)}."


def beside(book: Book, measure: str, connections: int | None, other: str) -> str:
    rows = book.of(measure, connections)
    name, value = book.name(other), figure(rows[other]["value"], rows[other]["unit"])
    if other == best_other(book, measure, connections) and len(production(rows)) > 1:
        name += ", the best of the other production stacks,"
    against = factor(book, measure, connections, other)
    if more_is_better(measure):
        how = "" if against is None else "as many, within the spread, as" if against[1] else f"{times(against[0])} as many as"
        return f"{how} {name} with {value}".strip()
    size = "as much" if rows[other]["unit"] == "MiB" else "as long"
    how = "" if against is None else f" and so {size}, within the spread" if against[1] else f", {times(against[0])} {size}"
    return f"{name} {value}{how}"


def extremes(book: Book, rows: dict[str, dict], before: str) -> str:
    """What can be said without Roadstead."""
    found = values(rows)
    ends = dict.fromkeys((min(found, key=found.get), max(found, key=found.get))) if found else {}
    told = " and ".join(f"{book.name(one)} {figure(found[one], rows[one]['unit'])}" for one in ends)
    return f"{before}{'the extremes are ' if len(ends) > 1 else ''}{told}." if told else ""


def lost(book: Book, event: str, words: str) -> str:
    """What an event costs: requests, and time."""
    rows, gaps = book.main(f"{event}.lost"), book.main(f"{event}.gap")
    found = values(rows)
    told = []
    for system in rows:
        if system in found:
            gap = f" (longest gap {figure(gaps[system]['value'], gaps[system]['unit'])})" if system in values(gaps) else ""
            told.append((found[system], f"{book.name(system)} {figure(found[system], 'requests')}{gap}"))
    if not told:
        return ""
    whole = [text.replace(" 0 requests", "") for count, text in told if count == 0]
    some = [text for count, text in sorted(told, key=lambda one: one[0]) if count > 0]
    nothing = f"nothing is lost with {listed(whole)}" if whole else "no system loses nothing"
    return f"{words}, {nothing}" + (f"; lost are with {listed(some)}." if some else ".")


def listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def faulty(book: Book, rows: list[dict[str, dict]]) -> str:
    """Who has no number here, and that this is no number either."""
    systems = list(dict.fromkeys(system for one in rows for system, row in one.items() if "fault" in row))
    return f"No number of {listed([book.name(one) for one in systems])} where it answered wrongly: a fast error is not speed." if systems else ""


def let_in(book: Book) -> str:
    """Whom a bad token fools."""
    rows = {kind: book.main(f"token.{kind}") for kind in ("bad-signature", "expired", "none")}
    if not any(rows.values()):
        return ""
    fooled = [f"{book.name(system)} ({kind})" for kind, found in rows.items() for system, row in found.items() if str(row.get("value", "")).startswith("2")]
    if fooled:
        return f"A bad token is let in by {listed(fooled)}."
    if any("fault" in row for found in rows.values() for row in found.values()):
        return "No bad token is let in; where it says fault, the answer was neither the one nor the other."
    return "No system lets a bad token in. Here a development server is no worse: the check is the framework's, not the server's."
