"""What `scripts/contrast.sh` and `scripts/bench.sh` run: the systems, what is measured of them, and the report."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REPORT = ROOT / "deploy/contrast/report"


class Trouble(Exception):
    """The set-up is broken: nothing can be said about any system."""
