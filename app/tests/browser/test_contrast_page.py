"""The contrast's page, from a small sample: for everybody, and without a server."""

import sys
from pathlib import Path

import pytest

from access import examine

sys.path.insert(0, str(Path(__file__).parents[3] / "deploy/contrast"))

from measure import report  # noqa: E402

SYSTEMS = {"django-single": "Django runserver --nothreading", "uwsgi-nginx": "nginx + uWSGI", "roadstead": "Roadstead"}
MEASURES = {
    "closed.me.rate": ("requests/s", 64, (410, 980, 14200)),
    "open.me.p50": ("ms", 64, (35.8, 4.5, 0.52)),
    "open.me.p99": ("ms", 64, (1249, 28.5, 2.97)),
    "open.me.p999": ("ms", 64, (2488, 63.5, 7.91)),
    "slow.constant.p99": ("ms", 64, (65600, None, 1.13)),
    "replace.lost": ("requests", None, (2321, 776, 0)),
    "replace.gap": ("ms", None, (10300, 4360, 13.2)),
    "tls.versions": ("", None, ("none", "TLSv1.2, TLSv1.3", "TLSv1.2, TLSv1.3")),
    "token.none": ("", None, (401, 401, 401)),
    "ratio.closed.me.rate": ("×", 64, (34.6, 14.5)),
}
CONDITIONS = {
    "date": "2026-11-20", "mode": "quick", "rounds": 5, "cores": 2, "cpu": "a processor with quite a long name",
    "kernel": "6.1.0-42-amd64", "versions": {"nginx": "1.26.3", "Django": "4.2"}, "notes": ["a_word_without_a_break_" * 4],
    "systems": [{"id": id, "name": name, "note": "as its documentation says"} for id, name in SYSTEMS.items()],
}  # fmt: skip


def sample():
    for measure, (unit, connections, values) in MEASURES.items():
        for system, value in zip(SYSTEMS, values):
            spread = [value * 0.9, value * 1.1] if isinstance(value, (int, float)) and unit else [None, None]
            fault = {} if value is not None else {"fault": "312 of 4,018 requests: status_500"}
            yield {
                "system": system, "measure": measure, "connections": connections, "value": value, "unit": unit,
                "low": spread[0], "high": spread[1], **fault,
            }  # fmt: skip


@pytest.fixture
def shown(browser, tmp_path):
    report.render(list(sample()), CONDITIONS, tmp_path)
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    troubles = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("request", lambda request: troubles.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.goto((tmp_path / "contrast.html").as_uri())
    yield page
    context.close()
    assert not troubles


def test_the_page_is_for_everybody(shown):
    examine(shown, "contrast")
    shown.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    examine(shown, "contrast, tables open")


def test_nothing_sticks_out_of_its_chart_on_a_phone(shown):
    outside = """all => all.filter(one => {
        const [text, panel] = [one.getBoundingClientRect(), one.closest('.panel').getBoundingClientRect()];
        return text.left < panel.left || text.right > panel.right;
    }).map(one => one.textContent)"""
    assert shown.locator(".chart text").evaluate_all(outside) == []
    sizes = "all => Math.min(...all.map(one => parseFloat(getComputedStyle(one).fontSize)))"
    assert shown.locator(".chart text").evaluate_all(sizes) >= 12


def test_headings_and_landmarks(shown):
    levels = shown.locator("h1, h2, h3").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert shown.get_by_role(landmark).count() == 1
