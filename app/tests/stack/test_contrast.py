"""The contrast's tool: it tells who answers wrongly or dies instead of praising their speed, and leaves nothing behind."""

import argparse
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from docker import ROOT, run, wait_until

sys.path.insert(0, str(ROOT / "deploy/contrast"))

from measure import contrast, load, measures, rounds  # noqa: E402
from measure.load import Load, Target  # noqa: E402
from measure.systems import System  # noqa: E402


class Peer(System):
    """One that answers as it is told to, in this process."""

    id = name = "peer"

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            count = 0

            def do_GET(self):
                Handler.count += 1
                status, body = answer(Handler.count) or (0, "")
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.target = Target(f"http://127.0.0.1:{self.server.server_port}")

    def thaw(self):
        pass

    freeze = thaw

    def die(self):
        self.server.shutdown()
        self.server.server_close()


RIGHT = (200, '{"state":"live"}')
MEASURE = measures.Closed("constant", 4, 0.3)


@pytest.fixture
def measured(monkeypatch):
    """The rows of two rounds with a system that answers so."""
    monkeypatch.setattr(Load, "program", ROOT / "target/debug/examples/load")

    def measured(*peers):
        options = argparse.Namespace(full=False, only=["roadstead"], project="none", programs=Path("target/debug"))
        whole = contrast.Run(options)
        whole.progress = contrast.Progress(1)
        for number in range(2):
            for peer in peers:
                whole.turn(number, peer, [MEASURE])
        return {row["system"]: row for row in whole.table.rows() if row["measure"] == "closed.constant.rate"}, whole.table

    return measured


def test_a_right_answer_is_a_number(measured):
    rows, _ = measured(Peer(lambda n: RIGHT))
    row = rows["peer"]
    assert row["low"] <= row["value"] <= row["high"] and row["value"] > 100
    assert (row["unit"], row["connections"]) == ("requests/s", 4)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        # Quick, and wrong: each of these would win on speed alone.
        (lambda n: (500, ""), "status_500"),
        (lambda n: (200, '{"state":"dead"}'), "body"),
        (lambda n: RIGHT if n % 50 else (503, ""), "status_503"),
        (lambda n: RIGHT if n % 50 else None, "no_reply"),
    ],
)
def test_a_system_that_answers_wrongly_is_told_and_has_no_number(measured, answer, told):
    rows, table = measured(Peer(answer))
    assert told in rows["peer"]["fault"] and " of " in rows["peer"]["fault"]
    assert rows["peer"]["value"] is None and rows["peer"]["low"] is None
    assert not table.ratios("peer"), "and nobody is compared with it"


def test_a_system_that_dies_is_told_and_the_others_go_on(measured):
    dying, sound = Peer(lambda n: RIGHT), Peer(lambda n: RIGHT)
    sound.id = "sound"
    dying.die()
    rows, _ = measured(dying, sound)
    assert "connect" in rows["peer"]["fault"]
    assert rows["sound"]["value"] > 0


def test_one_that_no_longer_answers_at_its_turn_is_not_asked_again(measured):
    peer = Peer(lambda n: RIGHT)

    def thaw():
        raise load.Fault("no right answer within 60 s")

    peer.thaw = thaw
    rows, _ = measured(peer)
    assert rows["peer"]["fault"] == "it does not answer any more: no right answer within 60 s"


# ---- rounds


def table(ours, theirs):
    table = rounds.Table()
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        table.add(number, "roadstead", "closed.me.rate", mine, "requests/s", 64)
        table.add(number, "gunicorn", "closed.me.rate", other, "requests/s", 64)
    return table


def test_ratios_are_taken_round_by_round():
    # The machine was half as fast in the second round, for both.
    made = table([1000, 500, 1200], [100, 50, 100])
    (row,) = made.ratios("roadstead")
    assert (row["system"], row["measure"], row["connections"]) == ("gunicorn", "ratio.closed.me.rate", 64)
    assert (row["value"], row["low"], row["high"], row["unit"]) == (10, 10, 12, "×")
    assert [row["value"] for row in made.rows()] == [1000, 100]


def test_there_is_no_median_of_some_rounds_and_no_ratio_of_a_status():
    made = table([1000, 500], [100, None])
    made.add(0, "roadstead", "token.good", 200, "HTTP status")
    made.add(0, "gunicorn", "token.good", 200, "HTTP status")
    assert not made.ratios("roadstead")
    assert ("gunicorn", "closed.me.rate") not in [(row["system"], row["measure"]) for row in made.rows()]


def test_two_runs_agree_where_their_intervals_have_a_point_in_common():
    first = table([1000, 1200], [100, 100]).ratios("roadstead")
    assert rounds.overlapping(first, table([1190, 1500], [100, 100]).ratios("roadstead")) == (1, [])
    apart = [("gunicorn", "ratio.closed.me.rate", 64)]
    assert rounds.overlapping(first, table([1210, 1500], [100, 100]).ratios("roadstead")) == (1, apart)


# ---- the script


def leftovers(project):
    found = []
    for kind, listing in (("container", ["ps", "--all"]), ("volume", ["volume", "ls"]), ("network", ["network", "ls"])):
        ids = run("docker", *listing, "--quiet", "--filter", f"label=com.docker.compose.project={project}").stdout.split()
        found += [f"{kind} {one}" for one in ids]
    return found


def processes(folder):
    return run("pgrep", "--full", f"^{folder}/(roadstead|examples/load) ", check=False).stdout.split()


# While it starts; and while one system is frozen and the other at work.
@pytest.mark.parametrize(("number", "moment"), [(signal.SIGINT, "starts app-blue"), (signal.SIGTERM, "round 1 of 5, Roadstead;")])
def test_an_interruption_leaves_nothing_behind(stack, number, moment):
    # The stack's images, so that nothing has to be built anew.
    project = f"{stack.project}-contrast"
    report = ROOT / "deploy/contrast/report/contrast.json"
    before = report.read_bytes(), set(processes(ROOT / "target/debug"))
    environment = stack.environment | {"CONTRAST_PROFILE": "dev"}
    script = subprocess.Popen(
        [ROOT / "scripts/contrast.sh", "--only", "roadstead-dev", "--only", "roadstead"],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        process_group=0, bufsize=1,
    )  # fmt: skip
    said = ""
    for line in script.stdout:
        said += line
        if moment in line:
            break
    assert moment in said, said
    wait_until(lambda: leftovers(project), 30, "something runs")
    time.sleep(1)
    # As a terminal sends it: to the whole group; and once more by somebody impatient.
    os.killpg(script.pid, number)
    time.sleep(0.5)
    os.killpg(script.pid, number)
    said += script.communicate(timeout=90)[0]
    assert script.returncode == 128 + number, said
    assert "What it started is gone" in said
    assert not leftovers(project)
    wait_until(lambda: set(processes(ROOT / "target/debug")) <= before[1], 10, "no process of its is left")
    assert report.read_bytes() == before[0], "half a report is none"
