"""Where the scripts are tried: a copy of them, before a machine whose parts are stand-ins.

Whatever could change the machine is a stand-in that only writes down that it was called, `docker` among them: it
keeps just enough of an engine (images, containers, who is healthy) for the order of things to be seen.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
SERVICES = ("init", "postgres", "migrate", "publish", "app-blue", "app-green", "nginx")
ONE_SHOTS = ("init", "migrate", "publish")
# What reads and changes nothing, by its first words.
HARMLESS = (
    "version", "info", "context inspect", "ps", "inspect", "image inspect", "volume ls", "compose version",
    "compose config", "compose --profile check run", "logs", "exec", "sudo -n true", "buildx version", "compose exec -T app-blue roadstead user list",
    # The record of releases, and the lock: around the stack, not in it.
    "compose --profile * config", "volume inspect", "volume create", "run --rm --interactive", "tag", "create --name", "cp",
    "rm roadstead-site", "rm --force roadstead-site", "rm --force made", "compose --profile * run", "run --rm --network none",
)  # fmt: skip
PROGRAMS = """apt-cache awk basename bash cat cut date df dirname dpkg env flock grep head id mkdir rm sed sleep sort tail
timeout tr uname wc""".split()
SYSTEMS = {
    "Debian 12": "ID=debian\nVERSION_ID=12\n",
    "Debian 13": "ID=debian\nVERSION_ID=13\n",
    "Ubuntu": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\n",
    "Fedora": "ID=fedora\nVERSION_ID=43\n",
    "Arch": "ID=arch\n",
    "another": "ID=haiku\n",
}

# Rows of the file `containers` are what `docker inspect` prints for up.sh; the id of a container is its service.
DOCKER = r"""#!/bin/bash
cd "$BENCH" || exit
echo "${*%%$'\n'*}" >>calls
image() { case $1 in postgres | nginx) echo "sha256:$1-$(cat version)" ;; *) echo "sha256:app-$(cat version)" ;; esac }
put() { # service, state, health, exit code
  sed -i "/^$1 /d" containers
  echo "$1 $1 $2 $3 $4 $(image "$1") hash 0 $(cat ended 2>/dev/null || date -u +%FT%TZ) $(date -u +%FT%TZ) $TREE" >>containers
}
run() {
  case $1 in
    init | migrate | publish) put "$1" exited - 0 ;;
    *) if [ -e "broken-$1" ]; then put "$1" running unhealthy 0; else put "$1" running healthy 0; fi ;;
  esac
}
case $* in
@ANSWERS@
  'run --rm --interactive --name '*) echo 'taken made'; exec cat >/dev/null ;;
  'run --rm --interactive'*)
    until [ "$1" = -euc ]; do shift; done
    mkdir -p releases
    script=${2/'/releases'/$BENCH/releases}
    shift 3
    exec sh -euc "$script" sh "$@"
    ;;
  'cp roadstead-site:'*) mkdir -p release/0123456789abcdef; exec tar -cf - release ;;
  'compose --profile * config') echo 'name: roadstead' ;;
  'context inspect'*) echo unix:///var/run/docker.sock ;;
  version*) echo 26.1.5 ;;
  'compose version'*) echo 2.26.1 ;;
  'compose config --hash'*) for s in @SERVICES@; do echo "$s hash"; done ;;
  'compose config'*) echo 'name: roadstead' ;;
  'info --format {{.DockerRootDir}}') echo / ;;
  'info --format {{.SystemTime}}') date -u +%FT%TZ ;;
  info*) echo ENGINE ;;
  'image inspect --format {{.ID}} roadstead-'*) [ -e built ] && image "${5#roadstead-}" ;;
  'image inspect'*) echo sha256:base ;;
  'compose build'*) cat next-version >version && touch built ;;
  'compose up'*) for s in @SERVICES@; do run "$s"; done ;;
  'compose create'*) put "${@: -1}" created - 0 ;;
  'start '*) run "$2" ;;
  'ps --all --quiet'*) cut -d ' ' -f 1 containers ;;
  inspect*) cat containers ;;
  *'user list --admins --count') cat administrators ;;
  *'user invite '*) echo 'https://localhost/invitation#token=once' ;;
esac
"""
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$BENCH/calls"
exit 1
"""


class Workbench:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="roadstead-scripts-"))
        self.folder.chmod(0o755)
        self.tree, self.bin = self.folder / "tree", self.folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.tree / "scripts")
        shutil.copy(ROOT / "docker-compose.yml", self.tree)
        (self.tree / ".dockerignore").write_text("# what the build may read\n*\n!app/src\n!static/**\n")
        for file in ("app/Dockerfile", "nginx/Dockerfile", "deploy/postgres/Dockerfile"):
            (self.tree / file).parent.mkdir(parents=True)
            (self.tree / file).write_text("FROM debian:trixie-slim\n")
        self.files = self.listing()
        for name, content in {"calls": "", "containers": "", "version": "1\n", "next-version": "1\n", "administrators": "1\n"}.items():
            self.write(name, content)
        for name in ("apt-get", "dnf", "pacman", "mmdebstrap", "dockerd", "service", "systemctl", "journalctl", "setsid", "sudo"):
            self.program(name, RECORDER)
        self.program("getent", "#!/bin/sh\nexit 2\n")
        self.program("ss", "#!/bin/sh\n")
        self.program("df", self.prints_disk(50_000))
        self.engine()
        self.system("Debian 12")

    def close(self):
        shutil.rmtree(self.folder)

    def write(self, name, content):
        (self.folder / name).write_text(content)

    def program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def engine(self, **answers):
        """The stand-in for Docker; `answers` are shell commands for what is asked, by a pattern of `case`."""
        arms = "\n".join(f"  {pattern}) {command} ;;" for pattern, command in answers.items())
        self.program("docker", DOCKER.replace("@ANSWERS@", arms).replace("@SERVICES@", " ".join(SERVICES)))

    def system(self, name):
        self.write("os-release", SYSTEMS[name])

    def built_and_up(self):
        """What a first run leaves."""
        assert self.run("up.sh").returncode == 0
        self.write("calls", "")

    @staticmethod
    def prints_disk(megabytes):
        return f"#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted\necho x 1 1 {megabytes * 1024} 1% /\n"

    def without_docker(self):
        """A PATH with what the scripts use of this machine, but not Docker."""
        (self.bin / "docker").unlink()
        rest = self.folder / "rest"
        rest.mkdir()
        for program in PROGRAMS:
            if found := shutil.which(program):
                (rest / program).symlink_to(found)
        return f"{self.bin}:{rest}"

    def start(self, script, *arguments, path=None, user=None, stdin=subprocess.DEVNULL, **settings):
        environment = {
            "PATH": path or f"{self.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder), "LANG": "C.UTF-8", "BENCH": str(self.folder), "TREE": str(self.tree),
            "OS_RELEASE": str(self.folder / "os-release"), **settings,
        }  # fmt: skip
        return subprocess.Popen(
            [self.tree / "scripts" / script, *arguments], env=environment, user=user, cwd="/", text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command, **options):
        process = self.start(*command, **options)
        try:
            process.stdout_text = process.communicate(timeout=90)[0]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            raise AssertionError(f"{command} took too long: {process.communicate()[0]}") from None
        return process

    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    def changes(self):
        """What was called that changes something."""
        return [call for call in self.calls() if not call.startswith(HARMLESS)]

    def listing(self):
        found = (path for path in self.tree.rglob("*") if path.is_file() and "target" not in path.parts)
        return {path: (path.read_bytes(), os.stat(path).st_mode) for path in found}

    def assert_unchanged(self):
        assert self.changes() == []
        assert self.listing() == self.files
        assert not (self.tree / "target").exists()
