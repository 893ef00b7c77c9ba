"""python3 -m measure.report FOLDER"""

import json
import sys
from pathlib import Path

from . import render, render_chart

if len(sys.argv) != 2:
    sys.exit("Usage: python3 -m measure.report FOLDER")
folder = Path(sys.argv[1])
rows, conditions = (json.loads((folder / name).read_text()) for name in ("contrast.json", "conditions.json"))
render(rows, conditions, folder)
render_chart(rows, conditions, folder)
