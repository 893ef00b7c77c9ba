"""The contrast's page and the README's block, rendered from made-up rows."""

import html
import json
import re
import subprocess
import sys

import pytest
from docker import ROOT

sys.path.insert(0, str(ROOT / "deploy/contrast"))

from measure import report  # noqa: E402
from measure.report.book import figure  # noqa: E402

NAMES = {"django-single": "runserver", "gunicorn-nginx": "nginx + Gunicorn", "roadstead": "Roadstead"}
RATE, SLEEP = "closed.me.rate", "slow.constant.p99"
FAULT = "312 of 4,018 requests: status_500"


def row(system, measure, value, unit, connections=64, spread=0.1):
    number = isinstance(value, (int, float))
    low, high = (value * (1 - spread), value * (1 + spread)) if number else (None, None)
    return dict(system=system, measure=measure, connections=connections, value=value, unit=unit, low=low, high=high)


def faulty(system, measure, unit, fault=FAULT):
    return row(system, measure, None, unit) | {"fault": fault}


def rates(single=400, gunicorn=800, ours=8000):
    return [row(system, RATE, value, "requests/s") for system, value in zip(NAMES, (single, gunicorn, ours))]


def conditions(**more):
    return {"rounds": 5, "cores": 2, "systems": [{"id": id, "name": name, "note": ""} for id, name in NAMES.items()]} | more


def page(rows, folder, **more):
    report.render(rows, conditions(**more), folder)
    report.render_chart(rows, conditions(**more), folder)
    return (folder / "contrast.html").read_text()


def said(text):
    """What a reader reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def test_a_number_is_a_bar(tmp_path):
    text = page(rates(), tmp_path)
    for kind in ("production ours", "production", "development"):
        assert text.count(f'<rect class="bar {kind}" y=') == 2, "one in throughput, one in equal work"


def test_a_fault_is_words_and_no_bar(tmp_path):
    rows = rates()
    rows[1] = faulty("gunicorn-nginx", RATE, "requests/s")
    text = page(rows, tmp_path)
    assert '<rect class="bar production" y=' not in text
    assert f"fault: {FAULT}" in said(text)
    picture = (tmp_path / "contrast.svg").read_text()
    assert "fault: no number" in picture and '<rect class="bar production"' not in picture
    assert f"| nginx + Gunicorn | fault: {FAULT.replace('_', chr(92) + '_')} |" in report.readme(rows, conditions())


def test_a_fault_of_ours_is_no_headline(tmp_path):
    rows = [*rates()[:2], faulty("roadstead", RATE, "requests/s")]
    text = page(rows, tmp_path)
    assert 'class="card"' not in text and f"fault: {FAULT}" in said(text)


@pytest.mark.parametrize("system", NAMES)
def test_what_was_not_measured_is_not_shown(system, tmp_path):
    rows = [one for one in rates() if one["system"] != system]
    text = page(rows, tmp_path)
    assert f">{NAMES[system]}</text>" not in text and text.count("</text>") == 8
    assert 'id="throughput"' in text
    for left_out in ("slow", "storm", "lost", "memory", "tls", "tokens", "ratios"):
        assert f'id="{left_out}"' not in text


def test_a_chart_of_faults_alone(tmp_path):
    text = page([faulty(system, SLEEP, "ms") for system in NAMES], tmp_path)
    assert said(text).count(f"fault: {FAULT}") >= len(NAMES) and 'class="mark m' not in text


def test_nothing_measured_is_a_page_all_the_same(tmp_path):
    assert "Nothing was measured." in page([], tmp_path)
    assert report.readme([], conditions())


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (8000, "10 times as many as nginx + Gunicorn (800)"),
        (400, "0.5 times as many as nginx + Gunicorn (800)"),
        (820, "as many as nginx + Gunicorn within the spread (800)"),
    ],
)
def test_sentences_follow_the_numbers(ours, expected, tmp_path):
    text = said(page(rates(ours=ours), tmp_path))
    assert expected in text
    assert ("Roadstead is compiled" in text) == (ours == 8000), "a reason only for what one sees"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "ms", "0 ms"), (0.51234, "ms", "0.512 ms"), (9.999, "ms", "10 ms"), (999.7, "ms", "1 s"), (65600, "ms", "65.6 s"),
        (14234.5, "requests/s", "14,200 requests/s"), (999.6, "requests/s", "1,000 requests/s"), (1, "requests", "1 request"),
        (2321, "requests", "2,321 requests"), (9.44, "×", "9.4×"), (138.2, "×", "140×"), (0.0000163, "×", "0.000016×"),
        (40.44, "MiB", "40.4 MiB"), ("none", "", "none"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_people_read_them(value, unit, expected):
    assert figure(value, unit) == expected


@pytest.mark.parametrize(("ours", "expected"), [(2, "takes 5 times as long (10 ms)"), (20, "takes 0.5 times as long (10 ms)")])
def test_of_times_less_is_better(ours, expected, tmp_path):
    rows = [row("gunicorn-nginx", SLEEP, 10, "ms"), row("roadstead", SLEEP, ours, "ms")]
    assert f"nginx + Gunicorn {expected}" in said(page(rows, tmp_path))


def test_a_ratio_paired_by_rounds_is_believed_first(tmp_path):
    ratio = row("gunicorn-nginx", f"ratio.{RATE}", 9.4, "×", spread=0.02)
    text = said(page([*rates(), ratio], tmp_path))
    assert "9.4 times as many as nginx + Gunicorn" in text
    assert "9.4× (9.2–9.6)" in text


def test_a_bad_token_let_in_is_named(tmp_path):
    rows = [row(system, "token.none", 401, "", None) for system in NAMES]
    assert "No system lets a bad token in." in said(page(rows, tmp_path))
    rows[0]["value"] = 200
    text = said(page(rows, tmp_path))
    assert "No system lets" not in text and "A bad token is let in by runserver (none)." in text


def test_text_from_data_is_escaped(tmp_path):
    evil = '<script>alert("1")</script> & | `x`'
    rows = [*rates(), faulty("roadstead", SLEEP, "ms", evil), row("roadstead", "tls.versions", evil, "", None)]
    systems = [{"id": "roadstead", "name": evil, "note": evil}]
    text = page(rows, tmp_path, systems=systems, notes=[evil], versions={evil: evil}, load_client=evil)
    for file in (text, (tmp_path / "contrast.svg").read_text()):
        assert "<script" not in file
    assert "<script" not in report.readme(rows, conditions(systems=systems))


def test_the_page_needs_nothing_else(tmp_path):
    text = page([*rates(), row("roadstead", SLEEP, 1, "ms")], tmp_path)
    assert not re.findall(r"<(?:script|img|iframe|object|embed|audio|video)\b|@import|https?:|\bon\w+=", text)
    assert set(re.findall(r'(?:href|src)="([^"#]*)', text)) <= {"", "data:,"}
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#stripes", "#stripes-ours"}
    assert "default-src 'none'" in text and 'style="' not in text


def test_the_readme_block_goes_between_its_marks_and_nowhere_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# A\n\n<!-- contrast -->\nold\n<!-- /contrast -->\n\nafter\n")
    block = report.readme(rates(), conditions())
    report.write_readme(readme, block)
    once = readme.read_text()
    report.write_readme(readme, block)
    assert readme.read_text() == once
    assert once == f"# A\n\n<!-- contrast -->\n{block.strip()}\n<!-- /contrast -->\n\nafter\n"
    assert "](deploy/contrast/report/contrast.svg)" in block and "| Roadstead | 8,000 |" in block


@pytest.mark.parametrize("text", ["no marks", "<!-- /contrast --> <!-- contrast -->", "<!-- contrast -->"])
def test_a_readme_without_a_place_stays_as_it_is(text, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="no place"):
        report.write_readme(readme, "new")
    assert readme.read_text() == text


def test_our_readme_has_the_place():
    text = (ROOT / "README.md").read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_rendered_anew_from_its_files(tmp_path):
    (tmp_path / "contrast.json").write_text(json.dumps(rates()))
    (tmp_path / "conditions.json").write_text(json.dumps(conditions()))
    command = [sys.executable, "-m", "measure.report", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "deploy/contrast", check=True, timeout=30)
    assert {one.name for one in tmp_path.iterdir()} == {"contrast.json", "conditions.json", "contrast.html", "contrast.svg"}


@pytest.mark.parametrize("measure", [RATE, SLEEP, f"ratio.{RATE}", "kill.lost", "memory.pss", "tls.groups", "token.none"])
@pytest.mark.parametrize("value", [0, 12, "none"])
def test_any_part_alone_is_a_page(measure, value, tmp_path):
    numbers = not measure.startswith(("tls", "token"))
    rows = [row("gunicorn-nginx", measure, value if numbers == (value != "none") else None, "ms")]
    assert report.readme(rows, {}) and page(rows, tmp_path, systems=[])
