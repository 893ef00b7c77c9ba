"""The systems, each behind the same few verbs: start, thaw, freeze, worker, restart, replace, start_anew."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from . import ROOT, Trouble, client, engine
from .load import Target

ACCOUNT = "contrast@example.org"


class System:
    id = name = note = ""
    full_only = False
    tls = False
    keep_alive = True
    short_queue = False
    network = "contrast"
    # What runs its code, and everything that runs only for it.
    apps = services = ()
    sign_in_path, user, password, token_key = "/api/token/", "username", "", "access"
    static = "/static/css/site.css"
    # Signed in, and one read of the account for each request.
    me = "/api/v1/me"

    def __init__(self, project, folder, password):
        self.project, self.folder, self.password = project, Path(folder), password
        self.target = self.access = None
        self.signed_in = float("-inf")

    # ---- what of it is asked

    def credentials(self):
        return {self.user: ACCOUNT, "password": self.password}

    def token(self):
        return client.sign_in(self.target, self.sign_in_path, self.credentials(), self.token_key)

    def renew(self):
        """Access tokens live for five minutes everywhere."""
        if time.monotonic() - self.signed_in > 120:
            self.access, self.signed_in = self.token(), time.monotonic()
            self.bearer.write_text(self.access)

    @property
    def bearer(self):
        return self.folder / f"{self.id}.token"

    # ---- how it runs

    def start(self):
        """Its containers are up."""
        self.find()

    def find(self):
        """Where it answers now: a container that was replaced may have another address."""
        address = self.project.address(self.services[-1], self.network)
        if self.tls:
            ca = self.folder / f"{self.id}.ca"
            ca.write_text(self.project.exec(self.services[-1], "cat", self.ca))
            self.target = Target("https://localhost", f"{address}:8443", ca, self.bearer)
        else:
            self.target = Target("http://localhost", f"{address}:8000", bearer=self.bearer, keep_alive=self.keep_alive)
        client.first_answer(self.target)

    def thaw(self):
        self.project.thaw(self.services)
        client.first_answer(self.target)
        self.renew()

    def freeze(self):
        self.project.freeze(self.services)

    def stop(self):
        """Its containers go with the project."""

    def revive(self):
        """After a kill: if it does not answer again by itself within two seconds, somebody has to start it."""
        try:
            client.first_answer(self.target, 2)
        except client.Fault:
            engine.run("docker", "start", *map(self.project.container, self.apps))
            self.find()

    def workers(self):
        """The processes that answer: those that are nobody's parent."""
        processes = self.project.processes(self.apps[0])
        parents = {parent for _, parent, _ in processes}
        return {pid for pid, _, _ in processes if pid not in parents}

    def kill_worker(self):
        engine.kill(min(self.workers()), self.image)

    def start_anew(self):
        """Ends what runs its code, starts it again; milliseconds to the first right answer."""
        containers = [self.project.container(service) for service in self.apps]
        engine.run("docker", "kill", *containers)
        began = time.monotonic()
        engine.run("docker", "start", *containers)
        self.project.forget()
        if self.services[-1] in self.apps:
            self.find()
        return (client.first_answer(self.target) - began) * 1e3

    restart = None

    def replace(self):
        """As after a new image, one service after the other."""
        for service in self.apps:
            self.project.replace(service)
        self.find()

    def pids(self):
        services = [service for service in self.services if not service.endswith("postgres")]
        return [pid for service in services for pid, _, _ in self.project.processes(service)]

    def database_pids(self):
        return [pid for pid, _, _ in self.project.processes(self.services[0])]

    @property
    def image(self):
        """For helpers that look at processes; of the base image, and there for every system."""
        return f"{self.project.name}-postgres"


# ---- the peers: Django, REST framework, SimpleJWT. How each is set up: deploy/contrast/compose.yml and peer/


class Peer(System):
    ca = "/run/peer/site.crt"


class DjangoSingle(Peer):
    id, name = "django-single", "Django runserver --nothreading"
    note = "The development server, one request at a time; DEBUG off, no autoreload."
    # It closes each connection after its answer (django/core/servers/basehttp.py).
    keep_alive = False
    short_queue = True
    apps, services = ("peer-single",), ("peer-postgres", "peer-single")

    def restart(self):
        engine.run("docker", "restart", "--time", "1", self.project.container(self.apps[0]))
        self.find()


class DjangoThreaded(DjangoSingle):
    id, name = "django-threaded", "Django runserver"
    # Kept alive, each answer after a connection's first waits 44 ms: it is sent in two packets, and the client acknowledges late.
    note = "The development server, a thread for each connection, and those not kept alive; DEBUG off, no autoreload."
    apps, services = ("peer-threaded",), ("peer-postgres", "peer-threaded")


class Gunicorn(Peer):
    id, name = "gunicorn", "Gunicorn alone"
    note = "As nginx + Gunicorn, without nginx and TLS."
    full_only = True
    apps, services = ("peer-gunicorn-alone",), ("peer-postgres", "peer-gunicorn-alone")

    def reload(self):
        """https://docs.gunicorn.org/en/stable/signals.html"""
        engine.run("docker", "kill", "--signal", "HUP", self.project.container(self.apps[0]))

    def restart(self):
        """A graceful reload; done when no worker from before is left."""
        # One that was killed just now may have a successor that is still loading.
        time.sleep(2)
        before = self.workers()
        self.reload()
        engine.wait_until(lambda: self.workers() and not self.workers() & before, 30, f"{self.apps[0]} has new workers only")


class GunicornNginx(Gunicorn):
    id, name = "gunicorn-nginx", "nginx + Gunicorn"
    note = (
        "As Gunicorn's documentation deploys it: behind nginx, over a unix socket. A worker a core with eight threads: of its"
        " kinds of worker the best all in all here. Its sync workers lose nothing at a reload but stand still behind sleepers;"
        " gevent's do not wait for sleepers, but hash passwords on the one thread that answers."
    )
    full_only = False
    tls = True
    apps = ("peer-gunicorn",)
    services = ("peer-postgres", "peer-gunicorn", "peer-gunicorn-nginx")


class Uwsgi(Gunicorn):
    id, name = "uwsgi", "uWSGI alone"
    note = "As nginx + uWSGI, speaking HTTP itself, without TLS."
    apps, services = ("peer-uwsgi-alone",), ("peer-postgres", "peer-uwsgi-alone")

    def workers(self):
        """Not the router in front of them."""
        return {pid for pid, _, words in self.project.processes(self.apps[0]) if words.startswith("uWSGI worker")}

    def reload(self):
        """Worker by worker: https://uwsgi-docs.readthedocs.io/en/latest/articles/TheArtOfGracefulReloading.html"""
        engine.run("docker", "exec", self.project.container(self.apps[0]), "timeout", "10", "sh", "-c", "echo c >/tmp/uwsgi.fifo")


class UwsgiNginx(Uwsgi):
    id, name = "uwsgi-nginx", "nginx + uWSGI"
    note = (
        "As uWSGI's documentation deploys it: behind nginx, the uwsgi protocol over a unix socket. A worker a core with four"
        " threads; one thread would be a little faster, and stand still behind the first sleeper."
    )
    full_only = False
    tls = True
    apps = ("peer-uwsgi",)
    services = ("peer-postgres", "peer-uwsgi", "peer-uwsgi-nginx")


# ---- ours


class Ours(System):
    sign_in_path, user, token_key = "/api/v1/auth/token", "email", "access_token"
    # Its /api/v1/me reads once for a token, which the peers' do not.
    me = "/api/v1/drill/account"

    def find_static(self):
        _, _, page = client.ask(self.target, "GET", "/")
        self.static = re.search(r"/static/[^\"]*css/site\.css", page).group()


class Dev(Ours):
    id, name = "roadstead-dev", "Roadstead dev"
    note = "roadstead dev, the release build: one thread, one request at a time."
    program = ROOT / "target/release/roadstead"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.child = None

    def launch(self, name):
        """The process, and its banner. Not in the repository's folder: there it would watch the source."""
        out = self.folder / f"{name}.out"
        own = {key: value for key, value in os.environ.items() if not key.startswith("ROADSTEAD_")}
        with out.open("w") as file:
            child = subprocess.Popen(
                [self.program, "dev", "--listen", "127.0.0.1:0", "--static", ROOT / "static"],
                cwd=self.folder, env=own | {"ROADSTEAD_SERVER__DRILL": "true"},
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip

        def banner():
            if child.poll() is not None:
                raise Trouble(f"the development server ended: {out.read_text()[-600:]}")
            return "Ctrl-C" in out.read_text()

        try:
            engine.wait_until(banner, 60, "the development server says where it is")
        except BaseException:
            end(child)
            raise
        return child, out.read_text()

    def start(self):
        self.child, banner = self.launch(self.id)
        self.password = re.search(r"password (\S+)", banner).group(1)
        self.target = Target(re.search(r"http://[^/\s]+", banner).group(), bearer=self.bearer)
        client.first_answer(self.target)
        self.find_static()

    def credentials(self):
        return {"email": "dev@example.org", "password": self.password}

    def signal(self, number):
        for pid in engine.family(self.child.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def thaw(self):
        self.signal(signal.SIGCONT)
        client.first_answer(self.target)
        self.renew()

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def workers(self):
        return {int(pid) for pid, words in self._children() if "dev-serve" in words}

    def _children(self):
        pids = ",".join(map(str, engine.family(self.child.pid)))
        lines = engine.run("ps", "-o", "pid=,args=", "-p", pids, check=False).splitlines()
        return [line.split(None, 1) for line in lines]

    def kill_worker(self):
        os.kill(min(self.workers()), signal.SIGKILL)

    def start_anew(self):
        """A second one beside it: a new start of the first would have another database, and other keys."""
        began = time.monotonic()
        child, banner = self.launch("second")
        try:
            target = Target(re.search(r"http://[^/\s]+", banner).group())
            return (client.first_answer(target) - began) * 1e3
        finally:
            end(child)

    replace = None

    def pids(self):
        return [int(pid) for pid, words in self._children() if "roadstead" in words]

    def database_pids(self):
        return [int(pid) for pid, words in self._children() if "postgres" in words]

    def revive(self):
        client.first_answer(self.target)

    def stop(self):
        if self.child:
            self.signal(signal.SIGCONT)
            end(self.child)


def end(child):
    child.send_signal(signal.SIGINT)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


class Stack(Ours):
    id, name = "roadstead", "Roadstead"
    note = (
        "The stack as scripts/up.sh brings it, nginx, two slots of one worker a core, PostgreSQL over TLS; but with the routes"
        " for measuring, and without the limits on sign-ins (10 a minute for one address), which would be all one saw."
    )
    tls = True
    network = "edge"
    ca = "/secrets/nginx/site-ca.crt"
    apps = ("app-blue", "app-green")
    services = ("postgres", "app-blue", "app-green", "nginx")

    def start(self):
        super().start()
        create = ["docker", "exec", "--interactive", self.project.container("app-blue"), "/roadstead"]
        create += ["user", "create", ACCOUNT, "--password-stdin"]
        done = subprocess.run(create, input=self.password, text=True, capture_output=True)
        if done.returncode:
            raise Trouble(f"no account on the stack: {done.stderr}")
        self.find_static()

    def restart(self):
        """One slot after the other, as its scripts do it: which is the same as with a new image."""
        self.replace()


ALL = (DjangoSingle, DjangoThreaded, GunicornNginx, UwsgiNginx, Gunicorn, Uwsgi, Dev, Stack)
