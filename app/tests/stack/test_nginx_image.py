"""The image: its settings, its rights, its log, and how it starts, reloads and stops."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from front import APP, FLAGS, NGINX, docker, wait_until


def start(image, *arguments):
    tmpfs = [f"--tmpfs={path}:uid={NGINX}" for path in ("/run/nginx", "/tmp")]
    return docker("run", "--rm", *FLAGS, *tmpfs, *arguments, image, check=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOMAIN", "https://example.org"),
        ("DOMAIN", "Example.org"),
        ("DOMAIN", "example.org:8443"),
        ("DOMAIN", "example.org."),
        ("DOMAIN", "-example.org"),
        ("DOMAIN", "192.0.2.1"),
        ("DOMAIN", "localhost\nevil"),
        ("DOMAIN", "localhost; return 200"),
        ("DOMAIN", "a" * 64),
        ("HTTPS_PORT", "https"),
        ("HTTPS_PORT", "0"),
        ("HTTPS_PORT", "65536"),
        ("RATE_SIGN_IN", "30"),
        ("RATE_SIGN_IN", "0r/m"),
        ("RATE_SIGN_IN", "30r/h"),
        ("RATE_REFRESH", "2r/s; #"),
        ("BURST_SIGN_IN", "many"),
        ("BURST_REFRESH", "-1"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(front, name, value):
    # In a container that runs already, which is quicker: it gets no further than the setting.
    done = docker("exec", f"--env=ROADSTEAD_{name}={value}", front.container, "/entry.sh", check=False)
    assert done.returncode == 78
    assert done.stderr.startswith(f"nginx: ROADSTEAD_{name}: '{value}' is not ")
    assert "Give " in done.stderr


@pytest.mark.parametrize("domain", ["a", "xn--bcher-kva.example", "1st.example.org", "a.b-c.d"])
def test_a_good_name_comes_as_far_as_the_certificate(nginx_image, domain):
    done = start(nginx_image, f"--env=ROADSTEAD_DOMAIN={domain}")
    assert done.returncode == 78
    assert "/secrets/nginx/site.crt is missing" in done.stderr
    assert "docker compose up init" in done.stderr


def test_without_its_tmpfs_it_says_so(nginx_image, tmp_path):
    tmp_path.chmod(0o755)
    for name in ("site.crt", "site.key"):
        (tmp_path / name).write_text("")
    done = docker("run", "--rm", *FLAGS, f"--volume={tmp_path}:/secrets/nginx:ro", nginx_image, check=False)
    assert done.returncode == 78
    assert "/run/nginx is not writable" in done.stderr


def test_a_certificate_that_is_none_stops_the_start(nginx_image, tmp_path):
    tmp_path.chmod(0o755)
    for name in ("site.crt", "site.key"):
        (tmp_path / name).write_text("nothing")
    done = start(nginx_image, f"--volume={tmp_path}:/secrets/nginx:ro")
    assert done.returncode != 0
    assert 'cannot load certificate "/secrets/nginx/site.crt"' in done.stderr


def test_it_runs_as_nobody_who_may_do_anything(front):
    def inside(script):
        return docker("exec", front.container, "sh", "-c", script, check=False).stdout.split()

    assert inside("id -u; id -G") == [str(NGINX), str(NGINX), str(APP)]
    assert inside("stat -c %u /proc/1") == [str(NGINX)]
    assert inside("grep -h Cap[EPB] /proc/1/status | cut -f2 | sort -u") == ["0" * 16]
    places = "/ /etc/nginx /run/roadstead /srv/site /secrets/nginx /var/log"
    assert inside(f"for place in {places}; do touch $place/x && echo $place; done") == []


def test_it_finds_itself_healthy_and_only_it_can_ask(front):
    def health():
        return json.loads(docker("inspect", "--format={{json .State.Health}}", front.container).stdout)

    wait_until(lambda: health()["Status"] == "healthy", 20, "healthy")
    address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", front.container).stdout.strip()
    with pytest.raises(OSError):
        socket.create_connection((address, 8081), timeout=2)
    assert "8081" not in docker("port", front.container).stdout


@pytest.mark.parametrize(
    ("path", "owner"),
    [("/run/roadstead", "10001:10001 750"), ("/srv/site", "10001:10001 755"), ("/secrets/nginx", "10001:10002 750")],
)
def test_a_fresh_volume_takes_the_owner_that_the_app_needs(nginx_image, path, owner):
    volume = f"{nginx_image}-volume"
    stat = ("--entrypoint=stat", nginx_image, "-c", "%u:%g %a", path)
    try:
        assert docker("run", "--rm", f"--volume={volume}:{path}:ro", *stat).stdout.strip() == owner
    finally:
        docker("volume", "rm", volume)


# The log


def test_the_log_is_json_whatever_is_asked(front):
    marks = {"User-Agent": 'a"b\\c\x7f' + "é" * 10 + "x" * 5000, "Referer": "https://localhost/a?secret=1"}
    head = "".join(f"{name}: {value}\r\n" for name, value in marks.items())
    foreign = front.raw(f'GET /{"y" * 2000}"é?secret=1 HTTP/1.1\r\nHost: {front.authority}\r\n{head}\r\n'.encode())
    passed = front.post("/api/v1/status/409?secret=1")
    broken = front.post("/api/v1/break")

    entry = front.access_log(foreign.headers["x-request-id"])
    assert entry["method"] == "GET" and entry["status"] == 404
    assert entry["path"] == "/" + "y" * 1023
    assert entry["referer"] == "https://localhost/a"
    assert entry["user_agent"] == 'a"b\\c'
    assert entry["tls"] in ("TLSv1.2", "TLSv1.3") and entry["tls_group"]
    assert entry["duration_s"] >= 0 and entry["response_bytes"] > 0

    entry = front.access_log(passed.headers["x-request-id"])
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/api/v1/status/409", 409)
    assert entry["upstream"].startswith("unix:/run/roadstead/") and entry["upstream_status"] == "409"
    # nginx's own failure is logged as what was asked, not as the page that answered.
    entry = front.access_log(broken.headers["x-request-id"])
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/api/v1/break", 502)

    # Closed before there was an answer.
    with front.connect() as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nnonsense")
    time.sleep(1.2)
    lines = docker("logs", front.container).stdout.splitlines()
    for line in lines:
        assert len(line) < 4096
        entry = json.loads(line)
        assert "secret=" not in line
        # Its own health checks are not in it.
        assert entry["client"] != "127.0.0.1"


# Its life


def test_a_reload_takes_up_a_new_certificate_and_loses_nothing(make_front):
    front = make_front(https_port=18443)

    def certificate():
        with front.connect() as connection:
            return connection.getpeercert()["serialNumber"]

    old, done, statuses = certificate(), threading.Event(), []

    def ask():
        while not done.is_set():
            statuses.append(front.post("/api/v1/notes", http2=False).status_code)

    # HTTP/1.1, because httpx takes HTTP/2's GOAWAY for a failure.
    with ThreadPoolExecutor(3) as pool:
        askers = [pool.submit(ask) for _ in range(2)]
        slow = pool.submit(front.get, "/api/v1/slow/1", http2=False)
        front.issue_certificate()
        for _ in range(5):
            front.signal("HUP")
            time.sleep(0.2)
        wait_until(lambda: certificate() != old, 5, "the new certificate")
        done.set()
        for asker in askers:
            asker.result()
        assert slow.result().status_code == 200
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_it_stops_when_the_last_request_is_answered(make_front):
    front = make_front(https_port=18443)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(front.get, "/api/v1/slow/1", http2=False)
        wait_until(lambda: any("slow" in path for _, path, _, _ in front.requests()), 5, "the request is under way")
        started = time.monotonic()
        docker("stop", "--time=20", front.container)
        assert time.monotonic() - started < 5
        assert slow.result().status_code == 200
    assert docker("inspect", "--format={{.State.ExitCode}}", front.container).stdout.strip() == "0"
