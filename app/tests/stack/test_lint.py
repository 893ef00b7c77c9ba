"""The checks before a commit refuse migrations that would lock or destroy, outside a step that is marked for it."""

import pytest
from docker import ROOT, run

CONTRACT = "-- roadstead: contract, readers from 0009\n"
BARE = "-- roadstead: no-transaction\n"


def lint(folder, sql):
    (folder / "0010_boats.sql").write_text(sql)
    functions = "; ".join(f"source scripts/_{name}.sh" for name in ("lib", "engine", "suites"))
    return run("bash", "-euc", f"{functions}; lint_migrations '{folder}'", cwd=ROOT, check=False)


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE notes DROP COLUMN body;", "ban-drop-column"),
        ("DROP TABLE notes;", "ban-drop-table"),
        ("ALTER TABLE notes RENAME COLUMN body TO text;", "renaming-column"),
        ("ALTER TABLE notes RENAME TO letters;", "renaming-table"),
        ("ALTER TABLE notes ALTER COLUMN title TYPE bigint USING 0;", "changing-column-type"),
        ("ALTER TABLE notes DROP CONSTRAINT notes_title_length;", "ban-drop-constraint"),
        ("ALTER TABLE notes RENAME CONSTRAINT notes_pkey TO notes_key;", "renaming-object"),
    ],
)
def test_what_takes_away_is_for_a_contract(tmp_path, sql, rule):
    done = lint(tmp_path, sql)
    assert done.returncode == 1 and rule in done.stdout and "README.md" in done.stdout
    done = lint(tmp_path, CONTRACT + sql)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("marker", ["", CONTRACT])
@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("CREATE INDEX notes_title ON notes (title);", "require-concurrent-index-creation"),
        ("ALTER TABLE notes ADD COLUMN colour text NOT NULL;", "adding-required-field"),
        ("ALTER TABLE notes ALTER COLUMN body SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE notes ADD CONSTRAINT notes_short CHECK (length(title) < 9);", "constraint-missing-not-valid"),
    ],
)
def test_what_locks_is_refused_anywhere(tmp_path, marker, sql, rule):
    done = lint(tmp_path, marker + sql)
    assert done.returncode == 1 and rule in done.stdout


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE notes ADD COLUMN colour text;", BARE + "CREATE INDEX CONCURRENTLY notes_title ON notes (title);"]
)
def test_what_only_adds_passes(tmp_path, sql):
    done = lint(tmp_path, sql)
    assert done.returncode == 0, done.stdout
