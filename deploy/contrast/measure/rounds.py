"""Values of several rounds, their medians and spread, and the ratios of one system to the others."""

import statistics
from collections import defaultdict


def rounded(value):
    """To four significant digits: more would be noise."""
    return value if isinstance(value, str) or value is None else float(f"{value:.4g}")


# How many times as many requests were lost, or what 200 to 401 is, says nothing.
COMPARED = ("requests/s", "sign-ins/s", "ms", "MiB")


class Table:
    def __init__(self):
        # (system, measure, connections) -> what each round gave, in their order; None for a round without.
        self.values = defaultdict(dict)
        self.units = {}
        self.faults = {}

    def add(self, number, system, measure, value, unit, connections=None):
        self.values[system, measure, connections][number] = value
        self.units[measure] = unit

    def fault(self, system, measure, connections, unit, words):
        """Of all rounds the first is kept: one wrong answer is enough."""
        self.units[measure] = unit
        self.faults.setdefault((system, measure, connections), words)

    def rows(self):
        rows = [self._row(key) for key in self.values if key not in self.faults and self._is_whole(key)]
        rows += [
            {**_named(key, self.units[key[1]]), "value": None, "low": None, "high": None, "fault": words}
            for key, words in self.faults.items()
        ]
        return rows

    def ratios(self, ours):
        """Ours to each other system's, round by round: what the machine did in that round, it did to both."""
        rows = []
        for (system, measure, connections), values in self.values.items():
            if self.units[measure] not in COMPARED or not self._is_whole((system, measure, connections)):
                continue
            mine = self.values.get((ours, measure, connections), {})
            pairs = [
                mine[number] / value
                for number, value in values.items()
                if number in mine and value and mine[number]
            ]
            broken = {(system, measure, connections), (ours, measure, connections)} & self.faults.keys()
            if system != ours and pairs and not broken:
                rows.append(_spread(_named((system, f"ratio.{measure}", connections), "×"), pairs))
        return rows

    def _is_whole(self, key):
        """A median of only those rounds that were fast enough to have the number would flatter."""
        return None not in self.values[key].values()

    def _row(self, key):
        values = list(self.values[key].values())
        named = _named(key, self.units[key[1]])
        if isinstance(values[0], str):
            return {**named, "value": values[-1], "low": None, "high": None}
        return _spread(named, values)


def _named(key, unit):
    system, measure, connections = key
    return {"system": system, "measure": measure, "connections": connections, "unit": unit}


def _spread(named, values):
    # What was measured once has no spread.
    low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
    return {**named, "value": rounded(statistics.median(values)), "low": rounded(low), "high": rounded(high)}


def overlapping(rows, others):
    """Of the ratios that both runs have: how many intervals have a point in common, and which have none."""

    def ratios(rows):
        wanted = [row for row in rows if row["measure"].startswith("ratio.") and row["low"] is not None]
        return {(row["system"], row["measure"], row["connections"]): row for row in wanted}

    first, second = ratios(rows), ratios(others)
    common = first.keys() & second.keys()
    apart = [key for key in common if first[key]["low"] > second[key]["high"] or first[key]["high"] < second[key]["low"]]
    return len(common), sorted(apart, key=str)
