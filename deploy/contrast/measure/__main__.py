"""The command line behind scripts/contrast.sh and scripts/bench.sh, which say what it does."""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from . import REPORT, ROOT, Trouble, bench, contrast, engine, report, systems
from .load import Fault, Load
from .rounds import overlapping

EX_FAULTS, EX_FAILED = 1, 70


class Interrupted(BaseException):
    """By Ctrl-C or TERM: what was started is ended all the same."""


def interrupted(number, _):
    # A second one does not stop the clearing up.
    engine.uninterruptible()
    raise Interrupted(number)


def main():
    parser = argparse.ArgumentParser(prog="measure")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("contrast")
    run.add_argument("--full", action="store_true")
    run.add_argument("--only", action="append", choices=[kind.id for kind in systems.ALL])
    run.add_argument("--project", default="roadstead-contrast")
    run.add_argument("--programs", type=Path, default=ROOT / "target/release")
    run.add_argument("--report", type=Path, default=REPORT)
    run.add_argument("--readme", action="store_true")
    alone = commands.add_parser("bench")
    alone.add_argument("--project", default="roadstead-bench")
    alone.add_argument("--programs", type=Path, default=ROOT / "target/release")
    alone.add_argument("--report", type=Path, default=REPORT)
    compare = commands.add_parser("compare")
    compare.add_argument("before", type=Path)
    compare.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        sys.exit({"contrast": run_contrast, "bench": run_bench, "compare": run_compare}[options.command](options))
    except (Trouble, Fault) as trouble:
        sys.exit(failed(str(trouble)))
    except Interrupted as by:
        print("\nInterrupted. What it started is gone; no report was written.", file=sys.stderr)
        sys.exit(128 + by.args[0])


def failed(words):
    print(f"\nCause: {words}\nCure:  mend that and run it again; nothing was left running", file=sys.stderr)
    return EX_FAILED


def run_contrast(options):
    Load.program = options.programs / "examples/load"
    systems.Dev.program = options.programs / "roadstead"
    rows, conditions = contrast.Run(options).all()
    options.report.mkdir(parents=True, exist_ok=True)
    write(options.report / "contrast.json", rows)
    write(options.report / "conditions.json", conditions)
    report.render(rows, conditions, options.report)
    if options.readme:
        # The chart and the table are of one run, always.
        report.render_chart(rows, conditions, options.report)
        report.write_readme(ROOT / "README.md", report.readme(rows, conditions))
    print(f"{len(rows)} values in {conditions['seconds']} s: {options.report / 'contrast.html'}")
    faults = {f"{row['system']}: {row['fault']}" for row in rows if "fault" in row}
    for fault in sorted(faults):
        print(f"  no number: {fault}")
    return EX_FAULTS if faults else 0


def run_bench(options):
    """Nothing is compared with others here: a wrong answer is the stack's own, and ends it."""
    Load.program = options.programs / "examples/load"
    began = time.monotonic()
    rows = bench.Bench(options).all()
    options.report.mkdir(parents=True, exist_ok=True)
    write(options.report / "bench.json", rows)
    print(bench.table(rows))
    print(f"{len(rows)} values in {time.monotonic() - began:.0f} s: {options.report / 'bench.json'}")
    return 0


def run_compare(options):
    before, after = (json.loads(path.read_text()) for path in (options.before, options.report / "contrast.json"))
    common, apart = overlapping(before, after)
    for system, measure, connections in apart:
        print(f"  apart: {system} {measure} {connections or ''}")
    share = 1 - len(apart) / common if common else 0
    print(f"{common - len(apart)} of {common} ratios have overlapping intervals in both runs ({share:.1%})")
    return 0 if share >= 0.95 else EX_FAULTS


def write(path, what):
    """One row a line: a difference between two runs is read by people, too."""
    if isinstance(what, list):
        text = "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in what) + "\n]\n"
    else:
        text = json.dumps(what, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text)


main()
