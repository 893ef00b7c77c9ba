"""The database's container, with the flags of docker-compose.yml and secret files made here."""

import re
import secrets
import time

import pytest
from docker import Project, run, wait_until

DATA = "/var/lib/postgresql/17/data"
PASSWORDS = {"owner": secrets.token_urlsafe(32), "app": secrets.token_urlsafe(16) + "'\\%$\""}


def certificates(folder):
    """A CA, a server certificate of its, another of its, and a CA that signed neither."""
    for name in ("ca", "wrong-ca"):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:postgres,DNS:localhost\n")
    for name in ("server", "renewed"):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=postgres",
            "-keyout", folder / f"{name}.key", "-out", folder / "request")  # fmt: skip
        run("openssl", "x509", "-req", "-days", "2", "-in", folder / "request", "-extfile", folder / "names",
            "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial", "-out", folder / f"{name}.crt")  # fmt: skip
    return {file.name: file.read_text() for file in folder.iterdir() if file.suffix in (".crt", ".key")}


class Database(Project):
    def __init__(self, files):
        super().__init__("postgres", ROADSTEAD_POSTGRES_MEMORY="512m")
        self.image = f"{self.name}-postgres"
        self.files = files
        self.secrets = {
            "server.crt": files["server.crt"],
            "server.key": files["server.key"],
            "owner_password": PASSWORDS["owner"],
            "app_password": PASSWORDS["app"],
            # Of the tests' own, for their clients.
            "ca.crt": files["ca.crt"],
            "wrong-ca.crt": files["wrong-ca.crt"],
        }

    def give_secrets(self, **options):
        self.fill("postgres-secrets", self.secrets, self.image, **{"owner": (10001, 10003), **options})

    def up(self, *arguments, **options):
        return self.compose("up", "--detach", "--no-deps", *arguments, "postgres", **options)

    def shell(self, script, **options):
        return self.exec("postgres", "sh", "-c", script, **options)

    def superuser(self, sql, database="roadstead"):
        return self.exec("postgres", "psql", "-XAtq", "-U", "postgres", "-d", database, "-c", sql).stdout.strip()

    def client(self, sql, role="app", password=None, check=True, **parameters):
        """psql as the app's client: over TCP, by default with full verification."""
        defaults = {"host": "postgres", "sslmode": "verify-full", "sslrootcert": "/secrets/postgres/ca.crt"}
        words = {**defaults, "dbname": "roadstead", "user": f"roadstead_{role}", **parameters}
        return self.exec(
            "postgres", "psql", "-XAtq", " ".join(f"{k}={v}" for k, v in words.items()), "-c", sql,
            environment={"PGPASSWORD": password or PASSWORDS.get(role, "")}, check=check,
        )  # fmt: skip

    def refused(self, sql, **parameters):
        done = self.client(sql, check=False, **parameters)
        assert done.returncode != 0, f"was allowed: {sql} {parameters}\n{done.stdout}"
        return done.stdout

    def start_error(self):
        """Starts it in a state in which it must refuse, and returns what it says."""
        self.up()
        wait_until(lambda: self.inspect("postgres")["State"]["Restarting"], 10, "the start to fail")
        text = self.logs("postgres")
        assert "cure: " in text, text
        self.compose("rm", "--force", "--stop", "postgres")
        return text


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    database = Database(certificates(tmp_path_factory.mktemp("certificates")))
    try:
        database.compose("build", "postgres", timeout=600)
        database.give_secrets()
        yield database
    finally:
        database.down("--rmi", "all")


@pytest.fixture(scope="module")
def database(project):
    """Running and healthy, after a first start that was killed half-way."""
    project.up()
    check = project.config()["services"]["postgres"]["healthcheck"]["test"][1:]
    project.shell(f"until [ -e {DATA}.new/base ]; do sleep 0.01; done", timeout=10)
    assert project.exec("postgres", *check, check=False).returncode != 0, "healthy while the cluster is being made"
    run("docker", "kill", "--signal=KILL", project.container("postgres"))
    # The engine takes the kill for the person's wish, so it is for us to start it again.
    run("docker", "start", project.container("postgres"))
    started = time.monotonic()
    while project.inspect("postgres")["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < started + 30, project.logs("postgres")
        time.sleep(0.2)
    assert project.client("SELECT 1").stdout.strip() == "1", "healthy, yet no answer"
    yield project


def test_an_interrupted_first_start_leaves_nothing_half_made(database):
    assert database.shell(f"ls {DATA}/..").stdout.split() == ["data"]
    assert database.logs("postgres").count("making a new cluster") == 2
    assert database.superuser("SELECT count(*) FROM pg_roles WHERE rolname ~ '^roadstead_'") == "2"


def test_the_cluster_is_as_designed(database):
    names = {
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "archive_mode": "on",
        "ssl_min_protocol_version": "TLSv1.3",
        "log_statement": "none",
        "log_min_error_statement": "panic",
        # A quarter and three quarters of ROADSTEAD_POSTGRES_MEMORY.
        "shared_buffers": "128MB",
        "effective_cache_size": "384MB",
        "maintenance_work_mem": "32MB",
        "work_mem": "4MB",
    }
    shown = database.superuser("; ".join(f"SHOW {name}" for name in names)).split("\n")
    assert dict(zip(names, shown)) == names
    locale = database.superuser("SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'roadstead'")
    assert locale == "b|C.UTF-8"
    roles = database.superuser(
        "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%', rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication "
        "OR rolbypassrls FROM pg_authid WHERE rolcanlogin ORDER BY 1"
    )
    assert roles.split("\n") == ["postgres||t", "roadstead_app|t|f", "roadstead_owner|t|f"]


def test_a_client_gets_in_only_with_tls_and_the_right_password(database):
    query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert database.client(query).stdout.strip() == "TLSv1.3"
    assert database.client(query, host="localhost", role="owner").stdout.strip() == "TLSv1.3"
    assert "no encryption" in database.refused(query, sslmode="disable", sslrootcert="''")
    assert "certificate verify failed" in database.refused(query, sslrootcert="/secrets/postgres/wrong-ca.crt")
    assert "does not match host name" in database.refused(query, host="127.0.0.1")
    assert "password authentication failed" in database.refused(query, password="wrong")
    assert "password authentication failed" in database.refused(query, password=PASSWORDS["owner"])
    assert "no pg_hba.conf entry" in database.refused(query, user="postgres")
    assert "no pg_hba.conf entry" in database.refused(query, dbname="postgres")
    assert "no pg_hba.conf entry" in database.refused(query, host="/run/postgresql")


def test_the_app_role_works_with_what_the_owner_makes_and_makes_nothing(database):
    database.client(
        "CREATE TABLE thing (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n serial, name text UNIQUE); "
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'",
        role="owner",
    )
    sql = "INSERT INTO thing (name) VALUES ('a') RETURNING id; UPDATE thing SET name = 'b'; SELECT name, twice(2) FROM thing"
    assert database.client(sql).stdout.split() == ["1", "b|4"]
    database.client("DELETE FROM thing")
    for forbidden in (
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE EXTENSION pgcrypto",
        "DROP TABLE thing",
        "ALTER TABLE thing ADD COLUMN x int",
        "TRUNCATE thing",
        "CREATE ROLE mine",
        "SET ROLE roadstead_owner",
        "COPY thing TO PROGRAM 'cat'",
    ):
        assert re.search("permission denied|must be owner", database.refused(forbidden)), forbidden


def test_no_secret_and_no_value_of_a_row_shows(database):
    database.client("INSERT INTO thing (name) VALUES ('Ada-Lovelace')")
    assert "duplicate key" in database.refused("INSERT INTO thing (name) VALUES ('Ada-Lovelace')")
    database.refused("ALTER ROLE roadstead_app PASSWORD 'Grace-Hopper' VALID")
    logs = database.logs("postgres")
    assert "duplicate key" in logs and "syntax error" in logs
    processes = database.shell("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '").stdout
    assert "roadstead" in processes
    for place in (logs, processes, str(database.inspect("postgres"))):
        for secret in (*PASSWORDS.values(), "Ada-Lovelace", "Grace-Hopper", "SCRAM-SHA-256$"):
            assert secret not in place


def test_the_container_is_closed(database):
    shape = database.inspect("postgres")
    host = shape["HostConfig"]
    assert shape["Config"]["User"] == "10003:10003"
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == 512 << 20 and host["PidsLimit"] == 256
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert not host["PortBindings"] and not any(shape["NetworkSettings"]["Ports"].values())
    assert not [mount for mount in shape["Mounts"] if mount["Type"] != "volume"]
    [network] = shape["NetworkSettings"]["Networks"]
    assert run("docker", "network", "inspect", network, "--format={{.Internal}}").stdout.strip() == "true"
    uids = database.shell("sed -n 's/^Uid:\\s*//p; s/^CapEff:\\s*//p' /proc/[0-9]*/status").stdout.split("\n")[:-1]
    assert set(uids) == {"10003\t10003\t10003\t10003", "0" * 16}
    assert "Read-only file system" in database.shell("touch /etc/x", check=False).stdout
    assert "Operation not permitted" in database.shell("chown 0 /tmp", check=False).stdout


def test_an_orphan_killed_by_a_signal_does_not_restart_the_server(database):
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    before = database.superuser(query)
    orphan = database.shell("sleep 60 >/dev/null 2>&1 & echo $!").stdout.strip()
    parent = database.shell(f"cut -d ' ' -f 4 /proc/{orphan}/stat").stdout.strip()
    assert parent == "1"
    database.shell(f"kill -9 {orphan}; sleep 0.3")
    assert database.superuser(query) == before


def test_a_renewed_certificate_is_served_without_a_restart(database):
    serial = "openssl s_client -connect localhost:5432 -starttls postgres </dev/null 2>/dev/null | openssl x509 -noout -serial"
    before = database.shell(serial).stdout
    database.secrets |= {"server.crt": database.files["renewed.crt"], "server.key": database.files["renewed.key"]}
    database.give_secrets()
    database.exec("postgres", "roadstead-postgres", "renew")
    wait_until(lambda: database.shell(serial).stdout != before, 5, "the new certificate")
    assert database.client("SELECT 1").stdout.strip() == "1"


def test_a_second_container_on_the_volume_is_refused(database):
    done = database.compose("run", "--rm", "--no-deps", "postgres", check=False, timeout=10)
    assert done.returncode == 1
    assert "another container is running on this volume" in done.stdout


def test_it_stops_cleanly_and_follows_the_password_files_at_the_next_start(database):
    started = time.monotonic()
    database.compose("stop", "postgres")
    assert time.monotonic() - started < 5
    assert database.inspect("postgres")["State"]["ExitCode"] == 0
    assert "database system is shut down" in database.logs("postgres")
    database.secrets["app_password"] = "another one"
    database.give_secrets()
    database.up("--wait")
    assert database.client("SELECT name FROM thing", password="another one").stdout.strip() == "Ada-Lovelace"
    assert "password authentication failed" in database.refused("SELECT 1")


def test_it_comes_back_by_itself_after_a_kill_with_all_that_was_committed(database):
    database.client("INSERT INTO thing (name) VALUES ('kept')", role="owner")
    before = database.inspect("postgres")["RestartCount"]
    database.shell("kill -9 $(head -n 1 /var/lib/postgresql/17/data/postmaster.pid)", check=False)
    wait_until(lambda: database.inspect("postgres")["RestartCount"] > before, 10, "the restart")
    read = lambda: database.client("SELECT name FROM thing ORDER BY id DESC LIMIT 1", role="owner", check=False).stdout
    wait_until(lambda: read().strip() == "kept", 15, "the database")


def test_a_bad_volume_is_refused_with_its_cure(project):
    project.compose("rm", "--force", "--stop", "postgres")
    path = "/var/lib/postgresql"
    mount = ("-v", f"{project.name}_postgres-data:{path}", "--entrypoint=sh", project.image, "-c")
    run("docker", "run", "--rm", *mount, f"mkdir -p {path}/16/data && echo 16 >{path}/16/data/PG_VERSION; mv {path}/17 {path}/off")
    assert "holds the data of PostgreSQL 16, this image is 17" in project.start_error()
    run("docker", "run", "--rm", "--user=0", *mount, f"chown 0:0 {path}")
    assert f"{path} is not writable for uid 10003" in project.start_error()


@pytest.mark.parametrize("problem", ["missing", "unreadable", "empty"])
def test_a_bad_secret_is_named_with_its_cure(project, problem):
    project.compose("rm", "--force", "--stop", "postgres")
    whole = dict(project.secrets)
    try:
        match problem:
            case "missing":
                del project.secrets["app_password"]
                project.give_secrets()
                expected = "/secrets/postgres/app_password is missing"
            case "unreadable":
                project.give_secrets(mode=0o600)
                expected = "/secrets/postgres/server.crt is empty, or not readable for uid 10003"
            case "empty":
                project.secrets["owner_password"] = ""
                project.give_secrets()
                expected = "/secrets/postgres/owner_password is empty"
        assert expected in project.start_error()
    finally:
        project.secrets = whole
