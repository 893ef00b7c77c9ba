"""The rows as the page asks for them, and how numbers and names are written."""

from __future__ import annotations

import math
import re

OURS = "roadstead"
DEVELOPMENT = ("django-single", "django-threaded", "roadstead-dev")

ROUTES = {
    "constant": "a constant answer",
    "whoami": "signed-in user, no database read",
    "me": "signed-in user, one database read",
    "static": "a static file",
}
QUANTILES = {"p50": "median", "p99": "p99", "p999": "p99.9", "max": "longest", "quiet.p99": "p99 in quiet"}
NAMES = {
    "sign-in.rate": "sign-ins",
    "sign-in.p50": "a sign-in alone, median",
    "storm.sign-in.rate": "sign-ins during the storm",
    "kill.lost": "requests lost, a worker killed",
    "kill.gap": "longest gap, a worker killed",
    "reload.lost": "requests lost, a reload",
    "reload.gap": "longest gap, a reload",
    "replace.lost": "requests lost, a replacement",
    "replace.gap": "longest gap, a replacement",
    "memory.pss": "memory without the database",
    "memory.database.pss": "memory of the database",
    "tls.versions": "TLS versions",
    "tls.groups": "TLS groups",
    "headers.security": "security headers",
    "token.good": "a good token",
    "token.bad-signature": "a token with a bad signature",
    "token.expired": "an expired token",
    "token.none": "a token with “alg: none”",
    "start.first-answer": "start to first answer",
}


class Book:
    """All rows of a run, found by system, measure and connections."""

    def __init__(self, rows: list[dict], conditions: dict):
        rows = [
            {**row, "unit": row.get("unit") or ""} for row in rows if "fault" in row or row.get("value") is not None
        ]
        self.rows = rows
        self.conditions = conditions
        self.names = {one["id"]: one["name"] for one in conditions.get("systems", [])}
        for row in rows:
            self.names.setdefault(row["system"], row["system"])
        self._found = {(row["measure"], row.get("connections"), row["system"]): row for row in rows}

    def of(self, measure: str, connections: int | None = None) -> dict[str, dict]:
        """The rows of one measure by system, in the order of the systems; faults are among them."""
        found = ((system, self._found.get((measure, connections, system))) for system in self.names)
        return {system: row for system, row in found if row}

    def loads(self, measure: str) -> list[int | None]:
        """With how many connections something was measured, the fewest first."""
        return sorted({row.get("connections") for row in self.rows if row["measure"] == measure}, key=lambda n: n or 0)

    def load(self, measure: str) -> int | None:
        """The one number of connections to speak of: 64, or the most."""
        loads = self.loads(measure)
        return 64 if 64 in loads else loads[-1] if loads else None

    def main(self, measure: str) -> dict[str, dict]:
        return self.of(measure, self.load(measure))

    def name(self, system: str) -> str:
        return self.names.get(system, system)

    def faults(self) -> list[dict]:
        return [row for row in self.rows if "fault" in row]


def family(system: str) -> str:
    """The class by which a system is painted: striped in development, in sea colour where it is ours."""
    stage = "development" if system in DEVELOPMENT else "production"
    return f"{stage} ours" if system.startswith(OURS) else stage


def values(rows: dict[str, dict]) -> dict[str, float]:
    """The numbers among them: no faults, no words."""
    return {system: row["value"] for system, row in rows.items() if is_number(row.get("value"))}


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def more_is_better(measure: str) -> bool:
    return measure.endswith(".rate")


def measure_name(measure: str) -> str:
    """What a measure is in words, for tables."""
    if measure in NAMES:
        return NAMES[measure]
    if match := re.fullmatch(r"(closed|open)\.(\w+)\.(\w+)", measure):
        loop, route, what = match.groups()
        quantity = "throughput" if what == "rate" else f"{QUANTILES.get(what, what)}, {loop} loop"
        return f"{ROUTES.get(route, route)}: {quantity}"
    for start, words in (
        ("slow.constant.", "a constant answer while others sleep"),
        ("storm.whoami.", "signed-in user while others sign in"),
    ):
        if measure.startswith(start):
            what = measure.removeprefix(start)
            return f"{words}: {QUANTILES.get(what, what)}"
    return measure


def significant(value: float, digits: int = 3) -> str:
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places <= 0:
        return f"{round(value, places):,.0f}"
    return f"{value:.{places}f}".rstrip("0").rstrip(".")


def figure(value, unit: str = "") -> str:
    """A value as people read it: 14,200 · 1.2 ms · 16 s · 9.1× · 1 request."""
    if not is_number(value):
        return str(value)
    if unit == "×":
        return significant(value, 2) + "×"
    if unit == "ms":
        return f"{significant(value / 1000)} s" if value >= 999.5 else f"{significant(value)} ms"
    if unit == "requests":
        return f"{value:,.0f} request" + ("" if value == 1 else "s")
    return f"{significant(value)} {unit}".rstrip()


def bare(value, unit: str) -> str:
    """The same where the heading names the unit already."""
    if unit in ("ms", "×") or not is_number(value):
        return figure(value, unit)
    return f"{value:,.0f}" if unit == "requests" else significant(value)


def cell(row: dict | None) -> str:
    """One row in a table: the median and, in brackets, the smallest and the largest round."""
    if row is None:
        return "–"
    if "fault" in row:
        return f"fault: {row['fault']}"
    text = bare(row["value"], row["unit"])
    if row.get("low") is None:
        return text
    low, high = (bare(row[key], row["unit"]).removesuffix("×") for key in ("low", "high"))
    return text if low == high else f"{text} ({low}–{high})"
