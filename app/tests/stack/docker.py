"""Compose projects of the tests' own: the production file and its flags under another name, gone at the end."""

import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(*command, check=True, **options):
    """Runs a command and returns it with its output, stdout and stderr in one text."""
    options = {"text": True, "timeout": 60, **options}
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done


def wait_until(holds, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


class Project:
    def __init__(self, part, **settings):
        self.name = f"roadstead-test-{part}-{os.getpid()}"
        # Nothing of the person's own settings: neither the environment's nor those of a file .env.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("ROADSTEAD_", "COMPOSE_"))}
        self.environment |= settings

    def compose(self, *arguments, **options):
        files = ["--env-file", os.devnull, "-f", ROOT / "docker-compose.yml"]
        return run("docker", "compose", "-p", self.name, *files, *arguments, env=self.environment, **options)

    def config(self):
        return json.loads(self.compose("config", "--format", "json").stdout)

    def container(self, service):
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service):
        return json.loads(run("docker", "inspect", self.container(service)).stdout)[0]

    def exec(self, service, *command, environment=None, **options):
        variables = [word for name, value in (environment or {}).items() for word in ("-e", f"{name}={value}")]
        return self.compose("exec", "-T", *variables, service, *command, **options)

    def logs(self, service):
        return self.compose("logs", "--no-log-prefix", service).stdout

    def fill(self, volume, files, image, owner=(10001, 10001), mode=0o640):
        """Puts files (name to text) into a volume, which is made and emptied as needed."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in {".": None, **files}.items():
                entry = tarfile.TarInfo(name)
                entry.uid, entry.gid = owner
                if content is None:
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o750
                    tar.addfile(entry)
                else:
                    data = content.encode()
                    entry.mode, entry.size = mode, len(data)
                    tar.addfile(entry, io.BytesIO(data))
        mount = f"{self.name}_{volume}:/volume"
        script = "find /volume -mindepth 1 -delete && tar -xpf - -C /volume"
        arguments = ("-i", "--rm", "--network=none", "--user=0", "-v", mount, "--entrypoint=sh", image, "-c", script)
        run("docker", "run", *arguments, input=archive.getvalue(), text=False)

    def down(self, *arguments):
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", *arguments)
