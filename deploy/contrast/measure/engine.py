"""A Compose project as these measurements need it: containers by service, frozen between their turns."""

import json
import os
import signal
import subprocess
import time

from . import ROOT, Trouble


def run(*command, check=True, timeout=180, **options):
    """Its stdout. What fails is told with the end of what it said."""
    words = [str(part) for part in command]
    # In a group of its own: Ctrl-C on a terminal is ours, and what clears up afterwards is not interrupted by a second one.
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(words, **pipes, text=True, process_group=0, **options)
    try:
        out, error = child.communicate(timeout=timeout)
    except BaseException as end:
        # The whole group: `docker` leaves the work to a child of its own, which would go on.
        os.killpg(child.pid, signal.SIGTERM)
        child.communicate()
        if isinstance(end, subprocess.TimeoutExpired):
            raise Trouble(f"{' '.join(words[:6])} … took over {timeout} s") from end
        raise
    if check and child.returncode:
        said = "\n".join((out + error).strip().splitlines()[-12:])
        raise Trouble(f"{' '.join(words[:6])} … failed ({child.returncode}):\n{said}")
    return out


def uninterruptible():
    """From here on, nothing ends it before everything is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def wait_until(is_so, seconds, what):
    until = time.monotonic() + seconds
    while not (found := is_so()):
        if time.monotonic() > until:
            raise Trouble(f"after {seconds} s still not so: {what}")
        time.sleep(0.05)
    return found


class Project:
    def __init__(self, name, *files, **settings):
        self.name = name
        self.files = [part for file in ("docker-compose.yml", *files) for part in ("--file", ROOT / file)]
        # A person's settings for their own stack are none of this one's.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ROADSTEAD_", "COMPOSE_"))}
        self.environment = kept | settings | {"COMPOSE_PROJECT_NAME": name, "COMPOSE_DISABLE_ENV_FILE": "1"}
        self._inspected = {}
        self.frozen = set()

    def compose(self, *arguments, **options):
        return run("docker", "compose", *self.files, "--profile", "*", *arguments, env=self.environment, cwd=ROOT, **options)

    def up(self, *services):
        """Compose's own `--wait` takes a one-shot that has ended well for a failure."""
        self.compose("up", "--detach", "--no-build", "--quiet-pull", *services)
        self.forget()
        for service in services:
            wait_until(lambda service=service: self.is_well(service), 90, f"{service} is well")

    def down(self):
        """Returns what is left all the same."""
        helpers = run("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}", check=False).split()
        if helpers:
            run("docker", "rm", "--force", *helpers, check=False)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", check=False)
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        kinds = {"container": ("ps", "--all"), "volume": ("volume", "ls"), "network": ("network", "ls")}
        return [f"{kind} {one}" for kind, words in kinds.items() for one in run("docker", *words, *mine, check=False).split()]

    def exec(self, service, *command):
        return self.compose("exec", "-T", service, *command)

    def replace(self, service):
        """A new container in the old one's place, as with a new image; see replace() in scripts/_stack.sh."""
        self.compose("create", "--no-build", "--force-recreate", service)
        self.forget()
        run("docker", "start", self.container(service))
        wait_until(lambda: self.is_well(service), 90, f"{service} is well")

    # ---- containers

    def forget(self):
        self._inspected.clear()

    def inspect(self, service, anew=False):
        if anew or service not in self._inspected:
            ids = run(
                "docker", "ps", "--all", "--quiet", "--no-trunc",
                "--filter", f"label=com.docker.compose.project={self.name}",
                "--filter", f"label=com.docker.compose.service={service}",
            ).split()  # fmt: skip
            if not ids:
                raise Trouble(f"there is no container of {service}")
            self._inspected[service] = json.loads(run("docker", "inspect", ids[0]))[0]
        return self._inspected[service]

    def container(self, service):
        return self.inspect(service)["Id"]

    def is_well(self, service):
        state = self.inspect(service, anew=True)["State"]
        if state["Status"] in ("exited", "dead"):
            if state["ExitCode"] == 0:
                return True
            logs = run("docker", "logs", "--tail", "8", self.container(service), check=False)
            raise Trouble(f"{service} ended with {state['ExitCode']}: {logs}")
        return state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def address(self, service, network):
        """On a network of the project: reached without a published port, and so without the engine's proxy."""
        networks = self.inspect(service, anew=True)["NetworkSettings"]["Networks"]
        return networks[f"{self.name}_{network}"]["IPAddress"]

    def freeze(self, services):
        """Those that run; one that was killed has nothing to freeze."""
        for service in set(services) - self.frozen:
            if self.inspect(service, anew=True)["State"]["Running"]:
                run("docker", "pause", self.container(service))
            self.frozen.add(service)

    def thaw(self, services):
        for service in set(services) & self.frozen:
            run("docker", "unpause", self.container(service), check=False)
            self.frozen.discard(service)

    def processes(self, service):
        """Of its container, as the machine numbers them: (pid, parent, command line)."""
        lines = run("docker", "top", self.container(service), "-o", "pid,ppid,args").splitlines()[1:]
        return [(int(pid), int(parent), words) for pid, parent, words in (line.split(None, 2) for line in lines)]


# ---- processes, which mostly belong to others than whoever runs this

LABEL = "roadstead.measure"
OF_THE_MACHINE = ("--pid", "host", "--user", "0")


def in_image(image, script, *options, network="none"):
    """What a shell script says in a container of its own, which down() finds if it is left."""
    where = ("--label", LABEL, "--network", network, *options, "--entrypoint", "sh")
    return run("docker", "run", "--rm", *where, image, "-c", script)


def kill(pid, image):
    try:
        os.kill(pid, 9)
    except PermissionError:
        in_image(image, f"kill -9 {pid}", *OF_THE_MACHINE)


def pss_mib(pids, image):
    """Proportional set size: shared pages count once in a sum over processes (proc(5), smaps_rollup)."""
    script = "; ".join(f"cat /proc/{pid}/smaps_rollup" for pid in pids)
    said = in_image(image, f"{script}; true", *OF_THE_MACHINE, "--cap-add", "SYS_PTRACE")
    return sum(int(line.split()[1]) for line in said.splitlines() if line.startswith("Pss:")) / 1024


def family(pid):
    """A process of this machine and all that it started."""
    children = {}
    for line in run("ps", "-eo", "pid=,ppid=").splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found
