"""scripts/down.sh, trust.sh, test.sh and check.sh: that they do no more than they say, and count right."""

import os
import pty
import shutil
import signal
import subprocess
import time

import pytest
from workbench import Workbench

NOBODY = 65534
NICKNAME = "Roadstead CA of roadstead"


@pytest.fixture
def bench():
    bench = Workbench()
    yield bench
    bench.close()


# ---- down.sh

VOLUMES = {"'volume ls'*": "echo '  roadstead_postgres-data'"}


def test_down_keeps_the_data_and_says_so(bench):
    bench.engine(**VOLUMES, **{"'ps --all'*": "echo 1"})
    done = bench.run("down.sh")
    assert done.returncode == 0
    assert bench.changes() == ["compose --profile * down --remove-orphans"]
    assert "roadstead_postgres-data" in done.stdout_text and "is kept" in done.stdout_text


def test_erasing_is_refused_where_nobody_can_be_asked(bench):
    bench.engine(**VOLUMES)
    done = bench.run("down.sh", "--erase")
    assert done.returncode == 64 and "scripts/down.sh --erase --yes" in done.stdout_text
    bench.assert_unchanged()


@pytest.mark.parametrize(("answer", "status"), [("roadstead", 0), ("yes", 75)])
def test_erasing_asks_for_the_name(bench, answer, status):
    bench.engine(**VOLUMES)
    terminal, end = pty.openpty()
    process = bench.start("down.sh", "--erase", stdin=end)
    os.write(terminal, f"{answer}\n".encode())
    output = process.communicate(timeout=60)[0]
    os.close(terminal)
    os.close(end)
    assert process.returncode == status, output
    assert "roadstead_postgres-data" in output
    assert bench.changes() == (["compose --profile * down --remove-orphans --volumes"] if status == 0 else [])


def test_down_where_there_is_nothing_or_no_engine(bench):
    assert "There is nothing of roadstead here" in bench.run("down.sh").stdout_text
    bench.assert_unchanged()
    bench.engine(**{"ps*": "echo 'Cannot connect' >&2; exit 1"})
    done = bench.run("down.sh")
    assert done.returncode == 69 and "Cannot connect" in done.stdout_text


# ---- trust.sh


NO_ADDRESS = "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"
NAMES = "nameConstraints=critical,permitted;DNS:localhost"


def make_ca(bench, name, constraints=f"{NAMES},{NO_ADDRESS}\n"):
    bench.write("request", f"[req]\ndistinguished_name=n\nx509_extensions=ca\n[n]\n[ca]\nbasicConstraints=critical,CA:TRUE\n{constraints}")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout key".split()
    command += ["-subj", f"/CN={name}", "-config", "request", "-out", f"{name}.crt"]
    subprocess.run(command, cwd=bench.folder, check=True, capture_output=True)
    serve_ca(bench, name)


def serve_ca(bench, name):
    bench.engine(**{"'compose exec -T nginx cat /secrets/nginx/site-ca.crt'": f"cat {name}.crt"})


@pytest.fixture
def browser(bench):
    """A person without root's rights who has a browser: gives what its database trusts."""
    if not shutil.which("certutil"):
        pytest.skip("no certutil here")
    bench.user = NOBODY if os.geteuid() == 0 else None
    database = bench.folder / ".pki/nssdb"
    database.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{database}"], check=True)
    if bench.user:
        for path in (database, *database.iterdir(), bench.folder / "calls"):
            os.chown(path, NOBODY, NOBODY)

    def trusted():
        command = ["certutil", "-L", "-d", f"sql:{database}", "-n", NICKNAME, "-a"]
        return subprocess.run(command, capture_output=True, text=True).stdout.replace("\r", "")

    return trusted


def test_trust_without_root_does_the_browsers_and_says_what_root_has_to_type(bench, browser):
    make_ca(bench, "first")
    first = (bench.folder / "first.crt").read_text()
    done = bench.run("trust.sh", user=bench.user)
    assert done.returncode == 77, done.stdout_text
    assert "can vouch for nothing but this: Permitted: DNS:localhost Excluded: IP:" in done.stdout_text
    assert "As root:" in done.stdout_text and "update-ca-certificates" in done.stdout_text
    assert browser() == first

    assert "trusted already" in bench.run("trust.sh", user=bench.user).stdout_text
    make_ca(bench, "second")
    bench.run("trust.sh", user=bench.user)
    assert browser() == (bench.folder / "second.crt").read_text()

    done = bench.run("trust.sh", "--remove", user=bench.user)
    assert done.returncode == 0 and "no longer trusted" in done.stdout_text
    assert browser() == ""
    assert "not trusted" in bench.run("trust.sh", "--remove", user=bench.user).stdout_text


@pytest.mark.parametrize("constraints", ["", f"{NAMES}\n"])
def test_a_ca_that_is_not_bound_to_names_and_addresses_is_not_trusted(bench, browser, constraints):
    make_ca(bench, "free", constraints)
    done = bench.run("trust.sh", user=bench.user)
    assert done.returncode == 70 and "not bound to the site's names" in done.stdout_text
    assert browser() == ""


def test_trust_without_a_running_stack(bench):
    bench.engine(**{"'compose exec'*": "echo 'service nginx is not running' >&2; exit 1"})
    done = bench.run("trust.sh")
    assert done.returncode == 69
    assert "service nginx is not running" in done.stdout_text and "Cure:  scripts/up.sh" in done.stdout_text


# ---- test.sh and check.sh

CARGO = """#!/bin/sh
echo "cargo $*" >>"$BENCH/calls"
case $1 in test)
  echo 'test result: ok. 20 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out'
  echo 'test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out'
  exit 101
esac
"""
PYTHON = """#!/bin/sh
case $* in
  *pytest*browser) echo 'ImportError while loading conftest'; exit 4 ;;
  *pytest*tests) echo '=== 4 failed, 30 passed, 2 skipped, 1 error in 2.00s ==='; exit 1 ;;
esac
"""


@pytest.fixture
def suites(bench):
    """A tree whose every tool is there and answers at once."""
    venv = bench.tree / "target/venv"
    (venv / "bin").mkdir(parents=True)
    (bench.tree / "app/tests").mkdir()
    for file in (bench.tree / "app/tests", venv):
        (file / "requirements.txt").write_text("pytest\n")
    for name in ("cc", "shfmt", "initdb", "chromium", "certutil", "python3", "strip", "ssh"):
        bench.program(name, "#!/bin/sh\n")
    bench.program("cargo", CARGO)
    for name, text in {"python": PYTHON, "shellcheck": "#!/bin/sh\n", "squawk": "#!/bin/sh\n", "hadolint": "#!/bin/sh\nexit 1\n"}.items():
        (venv / "bin" / name).write_text(text)
        (venv / "bin" / name).chmod(0o755)
    return bench


def test_all_suites_run_and_are_summed_up_whatever_fails(suites):
    done = suites.run("test.sh")
    lines = done.stdout_text.splitlines()
    # lint: 6, and hadolint fails. rust: 23 and 2. stack: 30, and 4 with 1 error.
    assert lines[-1] == "59 passed, 8 failed", done.stdout_text
    assert done.returncode == 1
    assert [line.split()[0] for line in lines[-5:-2]] == ["lint", "rust", "stack"]


def test_a_runner_that_comes_to_no_count_failed_once(suites):
    done = suites.run("test.sh", "browser")
    assert done.stdout_text.splitlines()[-1] == "0 passed, 1 failed"
    assert "ImportError while loading conftest" in done.stdout_text


def test_a_suite_by_its_name(suites):
    done = suites.run("test.sh", "rust")
    assert done.stdout_text.splitlines()[-1] == "23 passed, 2 failed"


def test_nothing_ran_is_not_a_success(suites):
    suites.program("cargo", "#!/bin/sh\n")
    done = suites.run("test.sh", "rust")
    assert done.stdout_text.splitlines()[-1] == "0 passed, 0 failed"
    assert done.returncode == 1


def test_all_passed(suites):
    suites.program("cargo", "#!/bin/sh\necho 'test result: ok. 7 passed; 0 failed;'\n")
    done = suites.run("test.sh", "rust")
    assert done.stdout_text.splitlines()[-1] == "7 passed, 0 failed"
    assert done.returncode == 0


def test_an_interrupted_run_removes_what_is_its_own_and_of_the_dead(suites):
    suites.program("cargo", "#!/bin/sh\ntouch $BENCH/running\nexec sleep 60\n")
    alive = os.getpid()
    containers = f"mine roadstead-test-db-$(cat parent) x\ndead x roadstead-test-app-99999999\nalive roadstead-test-{alive}-nginx x\nperson roadstead-nginx-1 roadstead-nginx roadstead"
    suites.engine(**{"'ps --all --format'*": f'echo "{containers}"'})
    process = suites.start("test.sh", "rust")
    suites.write("parent", str(process.pid))
    while not (suites.folder / "running").exists():
        time.sleep(0.05)
    suites.write("calls", "")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [call for call in suites.changes() if call.startswith("rm")] == ["rm --force --volumes mine dead"]


def test_settings_of_a_person_reach_no_test(suites):
    suites.program("cargo", "#!/bin/sh\nenv >$BENCH/environment\n")
    suites.run("test.sh", "rust", ROADSTEAD_DOMAIN="example.org", COMPOSE_PROJECT_NAME="production", SSL_CERT_FILE="/dev/null")
    environment = (suites.folder / "environment").read_text()
    assert "ROADSTEAD_" not in environment and "production" not in environment and "CA_BUNDLE" not in environment


def test_check_is_lint_nginx_and_rust(suites):
    done = suites.run("check.sh")
    assert [line.split()[0] for line in done.stdout_text.splitlines()[-5:-2]] == ["lint", "nginx", "rust"]


def test_rust_missing(suites):
    (suites.bin / "cargo").unlink()
    done = suites.run("test.sh", path=suites.without_docker())
    assert done.returncode == 69 and "there is no Rust here" in done.stdout_text and "rustup" in done.stdout_text
