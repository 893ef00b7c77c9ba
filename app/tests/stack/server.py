"""A second engine, on a server that is reached by SSH alone: its own network, processes, files and keys."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from docker import run, wait_until

HERE = Path(__file__).parent
USER = "deployer"
# Not --privileged: it asks for capabilities that not every machine has to give.
RIGHTS = [f"--cap-add={right}" for right in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE")]
RIGHTS += ["--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"]


class Server:
    def __init__(self):
        self.name = f"{os.environ.get('TEST_PROJECT', f'roadstead-test-{os.getpid()}')}-server"
        self.folder = Path(tempfile.mkdtemp(prefix="roadstead-server-"))
        self.client = self.folder / "bin/ssh"

    def start(self):
        key = self.folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        run("docker", "build", "--quiet", "--tag", self.name, HERE / "server", timeout=600)
        run("docker", "network", "create", self.name)
        public = f"--env=AUTHORIZED_KEY={key.with_suffix('.pub').read_text().strip()}"
        # A volume, or it would be one overlay on another, which no kernel takes.
        where = ("--network", self.name, "--volume=/var/lib/docker")
        run("docker", "run", "--detach", "--name", self.name, *where, *RIGHTS, public, self.name)
        networks = json.loads(run("docker", "inspect", self.name).stdout)[0]["NetworkSettings"]["Networks"]
        self.address = networks[self.name]["IPAddress"]
        self.url = f"ssh://{USER}@{self.address}"
        self.write_client(key)
        self.environment = {"PATH": f"{self.client.parent}:{os.environ['PATH']}", "DOCKER_HOST": self.url}
        answers = ("docker", "info", "--format", "{{.ID}}")
        try:
            wait_until(lambda: run(*answers, env=os.environ | self.environment, check=False).returncode == 0, 60, "its engine answers")
        except AssertionError:
            print(run("docker", "logs", "--tail", "30", self.name).stdout)
            raise
        # One connection for all that the scripts ask, as an operator may have it, and opened here, so that it is no script's.
        run(self.client, "-fNM", f"{USER}@{self.address}")

    def write_client(self, key):
        """An ssh of the tests' own: the real one looks for its files in the home that /etc/passwd names."""
        options = {
            "IdentityFile": key, "IdentitiesOnly": "yes", "UserKnownHostsFile": self.folder / "known_hosts", "BatchMode": "yes",
            "StrictHostKeyChecking": "accept-new", "LogLevel": "ERROR", "ControlPath": self.folder / "master",
        }  # fmt: skip
        configuration = self.folder / "config"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        self.client.parent.mkdir()
        self.client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {configuration} "$@"\n')
        self.client.chmod(0o755)

    def serve_registry(self, port):
        """On 127.0.0.1:`port`, there and, through the one connection, here: engines take a registry without TLS on loopback only."""
        address = f"127.0.0.1:{port}"
        run("docker", "exec", "--detach", "--env", f"REGISTRY_HTTP_ADDR={address}", self.name, "docker-registry", "serve", "/registry.yml")
        run(self.client, "-O", "forward", "-L", f"{address}:{address}", f"{USER}@{self.address}")
        answers = ("curl", "--silent", "--fail", f"http://{address}/v2/")
        wait_until(lambda: run(*answers, check=False).returncode == 0, 30, "the registry answers")
        return address

    def close(self):
        # The one connection ends with it.
        run("docker", "rm", "--force", "--volumes", self.name, check=False)
        run("docker", "network", "rm", self.name, check=False)
        run("docker", "image", "rm", self.name, check=False)
        shutil.rmtree(self.folder)
