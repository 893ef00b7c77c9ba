"""The runbook's commands as they are written, section by section; what a section is about is made so first."""

import re
import ssl
from contextlib import contextmanager, nullcontext

import pytest
import trustme
from docker import ROOT, run, wait_until

RUNBOOK = (ROOT / "deploy/README.md").read_text()
SECTION = re.compile(r"^##+ (?:… )?([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Heading to blocks, each with the reason why it cannot be run here, if there is one.
SECTIONS = {heading: BLOCK.findall(text) for heading, text in SECTION.findall(RUNBOOK)}
SERVICES = ("postgres", "app-blue", "app-green", "nginx")


class Reader:
    """Somebody with the runbook."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        self.environment = stack.environment | {"ROADSTEAD_WATCH_SECONDS": "0"}
        # What is put in the place of what is written.
        self.words = {"~/": f"{folder}/"}
        self.said = ""

    def follow(self, heading):
        commands = "".join(block for reason, block in SECTIONS[heading] if not reason)
        for written, meant in self.words.items():
            commands = commands.replace(written, meant)
        script = ("bash", "-euo", "pipefail", "-c", commands)
        self.said = run(*script, cwd=ROOT, env=self.environment, timeout=300).stdout

    def sees(self, certificate):
        where = ("localhost", self.stack.https)
        wait_until(lambda: ssl.get_server_certificate(where) in certificate, 20, "nginx has the new certificate")


@contextmanager
def day_one(reader):
    site = trustme.CA().issue_cert("localhost")
    site.private_key_pem.write_to_path(reader.folder / "site.key")
    for pem in site.cert_chain_pems:
        pem.write_to_path(reader.folder / "site.crt", append=True)
    yield
    try:
        assert "/invitation#token=" in reader.said and "error " not in reader.said
        reader.sees((reader.folder / "site.crt").read_text())
    finally:
        reader.follow("the certificate ends")


@contextmanager
def every_day(reader):
    # Something to deploy for which no image has to be built.
    reader.environment["ROADSTEAD_BURST_REFRESH"] = "61"
    yield
    acts = [line.split("\t") for line in reader.said.splitlines() if re.match(r"\S+Z\t", line)]
    (_, deploy, first, second, *_), (_, rollback, *back, _, _, ending) = acts[-2:]
    assert (deploy, rollback, back, ending) == ("deploy", "rollback", [second, first], "ok"), acts


def killed(*services):
    @contextmanager
    def context(reader):
        # 1: it says that all is not well.
        reader.words["scripts/status.sh\n"] = "scripts/status.sh || [ $? = 1 ]\n"
        run("docker", "kill", *(reader.stack.container(service) for service in services))
        yield

    return context


@contextmanager
def lock(reader):
    name, image = f"{reader.stack.project}-lock", f"{reader.stack.project}-nginx"
    owner = {"act": "deploy", "owner": "ada@elsewhere", "pid": "7"}
    labels = [f"--label=roadstead.{word}={value}" for word, value in owner.items()]
    run("docker", "run", "--detach", "--name", name, *labels, "--entrypoint=sleep", image, "60")
    yield
    assert "deploy of ada@elsewhere (process 7" in reader.said
    assert not run("docker", "ps", "--all", "--quiet", "--filter", f"name=^{name}$").stdout


@contextmanager
def request(reader):
    status, headers, _ = reader.stack.request("GET", "/api/v1/me", token="none")
    assert status == 401
    reader.words["0" * 32] = quoted = headers["X-Request-Id"]
    wait_until(lambda: quoted in reader.stack.logs("nginx"), 10, "nginx has logged it")
    yield
    assert '"path":"/api/v1/me"' in reader.said


@contextmanager
def refused(reader):
    # The limits themselves are out of the tests' way.
    reader.stack.sql(
        "INSERT INTO audit_events (event, ip, details)"
        """ VALUES ('excess_rate_limit_exceeded', '192.0.2.7', '{"limit": "address"}')"""
    )
    reader.stack.sql("INSERT INTO sign_in_limits VALUES ('address:192.0.2.7', 10, now() + interval '1 hour')")
    yield
    assert re.search(r"address +\| 192\.0\.2\.7", reader.said), reader.said
    assert reader.stack.sql("SELECT count(*) FROM sign_in_limits WHERE bucket = 'address:192.0.2.7'") == "0"


@contextmanager
def certificate(reader):
    before = reader.stack.exec("nginx", "cat", "/secrets/nginx/site.crt")
    yield
    after = reader.stack.exec("nginx", "cat", "/secrets/nginx/site.crt")
    assert "notAfter=" in reader.said and after != before
    reader.sees(after)


@contextmanager
def account(reader):
    token = reader.stack.token(reader.stack.accept(reader.stack.invite("mallory@example.org")))
    yield
    assert re.search(r"disabled +mallory@example\.org", reader.said)
    # nginx asks both slots in turn.
    answers = lambda: {reader.stack.request("GET", "/api/v1/me", token=token)[0] for _ in range(6)}  # noqa: E731
    wait_until(lambda: answers() == {401}, 10, "its token is worthless")


@contextmanager
def keys(reader):
    stack = reader.stack
    email = stack.accept(stack.invite("bosun@example.org"))
    token = stack.token(email)
    yield
    assert re.search(r"signs in \d+ s", reader.said)
    assert all(f"to app-secrets/{file}" in reader.said for file in ("refresh_key", "pepper", "master_key"))
    assert stack.request("GET", "/api/v1/me", token=token)[0] == 200
    assert stack.request("GET", "/api/v1/me", token=stack.token(email))[0] == 200


@contextmanager
def secrets(reader):
    stack = reader.stack
    email = stack.accept(stack.invite("purser@example.org"))
    token = stack.token(email)
    volumes = [f"--volume={stack.project}_{name}-secrets:/s/{name}" for name in ("app", "nginx", "owner", "postgres")]
    command = ("--entrypoint=sh", f"{stack.project}-nginx", "-c", "cd /s; sha256sum */*")
    sums = ("docker", "run", "--rm", "--user=0", *volumes, *command)
    before = run(*sums).stdout
    yield
    kept = {line.split()[1] for line in set(before.splitlines()) & set(run(*sums).stdout.splitlines())}
    assert kept == {"app/pepper", "app/ca.crt", "nginx/site-ca.crt", "owner/ca.crt"}
    assert stack.request("GET", "/api/v1/me", token=token)[0] == 401
    assert stack.request("GET", "/api/v1/me", token=stack.token(email))[0] == 200


CASES = {
    "Day one": day_one,
    "Every day": every_day,
    "the site answers 502 or 503": killed("app-blue", "app-green"),
    "a slot is not well": killed("app-green"),
    "PostgreSQL does not answer": killed("postgres"),
    "somebody else is at work": lock,
    "a request failed, and somebody quotes its id": request,
    "people cannot sign in, and read that there were too many attempts": refused,
    "the certificate ends": certificate,
    "an account must go, at once": account,
    "a key is to be replaced": keys,
    "a secret has leaked, or all are to be replaced": secrets,
}


def is_healthy(stack, service):
    return stack.inspect(service)["State"]["Health"]["Status"] == "healthy"


def test_nearly_all_of_it_is_run():
    blocks = [block for blocks in SECTIONS.values() for block in blocks]
    assert len(blocks) >= 25 and sum(bool(reason) for reason, _ in blocks) == 5
    assert RUNBOOK.count("```") == 2 * len(blocks), "there are blocks of another kind"
    assert set(CASES) <= set(SECTIONS)


@pytest.mark.parametrize("heading", [heading for heading in SECTIONS if not all(reason for reason, _ in SECTIONS[heading])])
def test_it_works(stack, tmp_path, heading):
    reader = Reader(stack, tmp_path)
    with CASES.get(heading, nullcontext)(reader):
        reader.follow(heading)
    wait_until(lambda: all(is_healthy(stack, service) for service in SERVICES), 60, "all is well")
