"""scripts/maintenance.sh on a stack that is in use: closed but to administrators, over any restart, and open again as before."""

import getpass
import os
import re
import time

import pytest
from docker import ROOT, run, wait_until
from releases import start
from stack import Load

NOTE = 'POST /api/v1/notes {"title":"{n}","body":"under load"}'
OLD_KEY = "0" * 64


class Maintenance:
    def __init__(self, stack):
        self.stack = stack

    def __call__(self, *words, **options):
        return self.stack.script("maintenance.sh", *words, **options)

    def on(self):
        """The key of the link that it prints."""
        said = self("on").stdout
        link = re.search(re.escape(self.stack.url) + r"/maintenance/pass\?([0-9a-f]{64})$", said, re.MULTILINE)
        assert link, said
        return link[1]

    def volume(self, volume, script):
        """What a script says that looks into one of the stack's volumes."""
        mount = f"{self.stack.project}_{volume}:/volume"
        command = ("--entrypoint=sh", f"{self.stack.project}-nginx", "-euc", f"cd /volume; {script}")
        return run("docker", "run", "--rm", "--network=none", "--user=0", "-v", mount, *command).stdout

    def acts(self):
        lines = (line.split("\t") for line in self.volume("releases", "[ ! -e audit.log ] || cat audit.log").splitlines())
        return [line[1:5] + line[6:] for line in lines]

    def left(self):
        return self.volume("site", "ls").split()

    def status(self, path="/", key=None):
        cookie = {"Cookie": f"__Host-maintenance={key}"} if key else {}
        return self.stack.request("GET", path, **cookie)[0]


@pytest.fixture
def maintenance(stack):
    maintenance = Maintenance(stack)
    yield maintenance
    maintenance("off")


@pytest.fixture(scope="module")
def token(stack):
    return stack.token(stack.accept(stack.invite("harbourmaster@example.org", "--admin")))


def usual(stack, path):
    status, headers, body = stack.request("GET", path)
    return status, [(name, value) for name, value in headers.items() if name not in ("Date", "X-Request-Id")], body


def wait_for_answers(load, more=100):
    known = load.sent()
    wait_until(lambda: load.sent() >= known + more, 30, "the load is answered")


def ledger(load):
    """When each request was due, when it was answered, and with which status."""
    lines = (line.split("\t") for line in load.ledger.read_text().splitlines() if line[0].isdigit())
    return [(int(line[1]) / 1e6, (int(line[1]) + int(line[2])) / 1e6, line[5]) for line in lines]


def check_rows(stack, load):
    compared = load.compare(stack.sql("SELECT title FROM notes"))
    assert compared.returncode == 0, compared.stdout


def test_under_load_all_are_told_and_administrators_are_served(stack, maintenance, token):
    before = usual(stack, "/")
    complaints = len(re.findall(r"\[(?:error|crit|alert|emerg)\]", stack.logs("nginx")))
    processes = [stack.pid(service) for service in ("nginx", "app-blue", "app-green")]
    notes = ("--request", NOTE, "--expect", "201", "--rate", "100", "--seconds", "240")
    connections = (("--connections", "8"), ("--http2", "--connections", "2", "--streams", "4"))
    visitors = [Load(stack, token, *notes, *kind) for kind in connections]
    for load in visitors:
        wait_for_answers(load)
    turned = [time.time()]
    key = maintenance.on()
    turned.append(time.time())
    administrators = [Load(stack, token, *notes, *kind, "--header", f"Cookie: __Host-maintenance={key}") for kind in connections]
    for load in visitors + administrators:
        wait_for_answers(load)
    for path, way in (("/health/live", 200), ("/health/ready", 200), ("/", 503), ("/api/v1/me", 503)):
        assert maintenance.status(path) == way
    turned.append(time.time())
    maintenance("off")
    turned.append(time.time())
    for load in visitors + administrators:
        wait_for_answers(load)
    reports = [load.stop() for load in administrators + visitors]

    for report in reports:
        report["failed"].pop("interrupted", None)
    assert not reports[0]["failed"] and not reports[1]["failed"], reports[:2]
    for load, report in zip(visitors, reports[2:]):
        # No answer of another kind, and none that is missing.
        assert set(report["failed"]) == {"status_503"}, report
        for due, answered, status in ledger(load):
            if status == "201":
                assert due < turned[1] or answered > turned[2], (due, answered, turned)
            elif status == "503":
                assert answered > turned[0] and due < turned[3], (due, answered, turned)
    for load in visitors + administrators:
        check_rows(stack, load)
    assert usual(stack, "/") == before
    assert [stack.pid(service) for service in ("nginx", "app-blue", "app-green")] == processes
    assert len(re.findall(r"\[(?:error|crit|alert|emerg)\]", stack.logs("nginx"))) == complaints


def test_it_survives_a_restart_of_nginx_and_of_the_whole_stack(stack, maintenance):
    key = maintenance.on()

    def answered():
        try:
            return maintenance.status()
        except OSError:
            return None

    run("docker", "restart", stack.container("nginx"), timeout=120)
    assert wait_until(answered, 30, "nginx answers") == 503
    assert maintenance.status(key=key) == 200
    stack.script("down.sh")
    said = maintenance("status").stdout
    assert "Maintenance is on" in said and "nginx does not run" in said
    # The release's pages are published once more on the way.
    stack.compose("up", "--detach", "--no-build")
    for service in ("app-blue", "app-green", "nginx"):
        wait_until(lambda: stack.inspect(service)["State"]["Health"]["Status"] == "healthy", 60, f"{service} is healthy")
    assert maintenance.status() == 503 and maintenance.status(key=key) == 200
    maintenance("off")
    assert maintenance.status() == 200


def test_on_twice_gives_two_links_and_off_takes_both(stack, maintenance):
    known = len(maintenance.acts())
    first = maintenance.on()
    sign = maintenance.volume("site", "cat maintenance/on")
    again = maintenance("on").stdout
    second = re.search(r"pass\?([0-9a-f]{64})", again)[1]
    assert "still on" in again and first != second and maintenance.volume("site", "cat maintenance/on") == sign
    for key in (first, second):
        assert maintenance.status(f"/maintenance/pass?{key}", key=key) == 200
    assert "is open again" in maintenance("off").stdout
    assert maintenance("off").stdout == "Maintenance is off.\n"
    for key in (first, second):
        assert maintenance.status(f"/maintenance/pass?{key}") == 404
    assert not [name for name in maintenance.left() if name.startswith("maintenance")]

    by = f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{os.uname().nodename}"
    turns = ("off", "on"), ("on", "on"), ("on", "off")
    assert maintenance.acts()[known:] == [["maintenance", before, after, by, "ok"] for before, after in turns]
    said = stack.logs("nginx") + maintenance.volume("releases", "cat audit.log")
    assert first not in said and second not in said


def test_the_link_of_an_earlier_time_opens_nothing(maintenance):
    # As an interruption in the middle may leave them.
    for folder, sign in (("maintenance.new", "on"), ("maintenance", "")):
        maintenance.volume("site", f"mkdir -p {folder}/pass; cd {folder}; touch {sign} pass/{OLD_KEY}; chown -R 10001 .")
    assert maintenance.status() == 200
    key = maintenance.on()
    assert maintenance.status(key=OLD_KEY) == 503 and maintenance.status(key=key) == 200
    maintenance("off")
    assert not [name for name in maintenance.left() if name.startswith("maintenance")]


def test_status_and_dry_runs_tell_and_change_nothing(maintenance):
    acts = maintenance.acts()
    assert maintenance("status").stdout == "Maintenance is off.\n"
    said = maintenance("on", "--dry-run").stdout
    assert "would be turned on" in said and "nothing was changed" in said
    assert "would stay off" in maintenance("--dry-run", "off").stdout
    assert maintenance.status() == 200 and maintenance.acts() == acts

    key = maintenance.on()
    acts = maintenance.acts()
    said = maintenance("status").stdout
    assert re.fullmatch(r"Maintenance is on, for \d+ s: since [-0-9]+T[:0-9]+Z, by \S+@\S+\.\n", said)
    said += maintenance("on", "--dry-run").stdout
    assert "one more link" in said
    said += maintenance("off", "--dry-run").stdout
    assert "would be turned off" in said and key not in said
    assert maintenance.status() == 503 and maintenance.acts() == acts


@pytest.mark.parametrize(("signal", "status"), [("TERM", 143), ("KILL", -9)])
def test_an_interruption_leaves_it_on_or_off_and_the_next_one_goes_on(stack, maintenance, signal, status):
    known = len(maintenance.acts())
    process = start(stack, "maintenance.sh", "on")
    holder = lambda: run("docker", "ps", "--quiet", "--filter", f"name=^{stack.project}-lock$").stdout
    wait_until(holder, 30, "it is at work")
    run("kill", f"-{signal}", process.pid)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status, said
    wait_until(lambda: not holder(), 30, "nobody is at work")
    # What it had started may still have come to its end.
    assert maintenance.status() == (503 if "Maintenance is on" in maintenance("status").stdout else 200)
    key = maintenance.on()
    assert maintenance.status() == 503 and maintenance.status(key=key) == 200
    maintenance("off")
    assert maintenance.status() == 200
    assert {act[4] for act in maintenance.acts()[known:]} <= {"ok", "interrupted", "killed"}


# ---- what it cannot do


def test_another_act_at_work_is_named_and_nothing_done(stack, maintenance):
    lock = f"{stack.project}-lock"
    labels = [f"--label=roadstead.{name}={value}" for name, value in (("act", "deploy"), ("owner", "ada@elsewhere"), ("pid", "7"))]
    run("docker", "run", "--detach", "--name", lock, *labels, "--entrypoint=sleep", f"{stack.project}-nginx", "600")
    try:
        done = maintenance("on", check=False)
        assert done.returncode == 75 and "deploy of ada@elsewhere (process 7" in done.stdout and "--wait" in done.stdout
        assert maintenance("status").stdout == "Maintenance is off.\n"
    finally:
        run("docker", "rm", "--force", lock)


def test_an_nginx_that_does_not_know_of_it_is_told_of(stack, maintenance):
    rendered = "/run/nginx/snippets/maintenance.conf"
    stack.exec("nginx", "mv", rendered, "/tmp/aside")
    try:
        done = maintenance("on", check=False)
    finally:
        stack.exec("nginx", "mv", "/tmp/aside", rendered)
    assert done.returncode == 69 and "knows no maintenance" in done.stdout and "scripts/deploy.sh" in done.stdout
    assert maintenance("status").stdout == "Maintenance is off.\n"


@pytest.mark.parametrize("word", ["on", "off", "status"])
def test_without_a_stack_it_says_what_brings_one(stack, word):
    environment = stack.environment | {"COMPOSE_PROJECT_NAME": f"{stack.project}-none"}
    done = run(ROOT / "scripts/maintenance.sh", word, env=environment, check=False)
    assert done.returncode == 69 and f"no stack {stack.project}-none" in done.stdout and "scripts/up.sh" in done.stdout
    assert not run("docker", "volume", "ls", "--quiet", "--filter", f"name={stack.project}-none").stdout


@pytest.mark.parametrize("words", [[], ["on", "off"], ["status", "status"], ["on", "--force"]])
def test_wrong_usage_is_refused(maintenance, words):
    done = maintenance(*words, check=False)
    assert done.returncode == 64 and "--help" in done.stdout
    assert maintenance("status").stdout == "Maintenance is off.\n"
