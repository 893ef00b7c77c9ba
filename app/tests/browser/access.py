"""What every page has to pass."""

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SIZES = {"wide": (1280, 800), "phone": (320, 640)}
axe = Axe()


def examine(page: Page, what: str):
    """axe, and that nothing sticks out: by day and by night, wide and narrow."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{what}: wider than a {size}"
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = axe.run(page).response["violations"]
            told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
            assert not found, f"{what}, {size}, {scheme}: {json.dumps(told, indent=1)}"
