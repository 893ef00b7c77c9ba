# shellcheck shell=bash
# Docker: what is there of it, and how the rest is brought. Sourced, after _lib.sh.

readonly BASE_IMAGE=debian:trixie-slim
# Tests put another system's file here.
readonly OS_RELEASE=${OS_RELEASE:-/etc/os-release}
readonly DOCS='https://docs.docker.com/engine/install/'

# ---- what is there

# Names the systems we have words for; only on debian-12 and debian-13 do we install anything ourselves.
system_name() {
  case $(uname -s) in
    Darwin) say macos && return ;;
    Linux) ;;
    *) say other && return ;;
  esac
  (
    ID='' ID_LIKE='' VERSION_ID=''
    # shellcheck disable=SC1090
    . "$OS_RELEASE" 2>/dev/null || true
    case $ID-$VERSION_ID in
      debian-12 | debian-13) say "$ID-$VERSION_ID" && exit ;;
    esac
    for like in $ID $ID_LIKE; do
      case $like in ubuntu | fedora | arch) say "$like" && exit ;; esac
    done
    say other
  )
}

# Where the client goes: an engine elsewhere is not ours to install or to start.
engine_endpoint() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    say "$DOCKER_HOST"
  else
    docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || say unix:///var/run/docker.sock
  fi
}

engine_is_ours() {
  case $(engine_endpoint) in unix:///var/run/docker.sock | unix:///run/docker.sock) ;; *) return 1 ;; esac
}

# Debian's users have no sbin in their PATH.
have_dockerd() { have dockerd || [ -x /usr/sbin/dockerd ]; }

# Sets MISSING (of engine, compose, buildx) and STOPPED; dies where neither we nor time can help.
look_engine() {
  MISSING='' STOPPED=
  local answer
  if ! have docker; then
    MISSING=" engine"
    report engine "missing"
  elif answer=$(within 20 docker version --format '{{.Server.Version}}' 2>&1); then
    report engine "${answer##*$'\n'} at $(engine_endpoint)"
  else
    case $answer in
      *"permission denied"*) no_right_to_socket ;;
    esac
    engine_is_ours || die "$EX_UNAVAILABLE" "the engine at $(engine_endpoint) does not answer: ${answer##*$'\n'}" \
      "start it there, or correct DOCKER_HOST (docker context ls shows what else there is);
for this machine's own engine: unset DOCKER_HOST && docker context use default"
    if have_dockerd; then
      STOPPED=yes
      report engine "installed, not running"
    else
      MISSING=" engine"
      report engine "missing (only its client is here)"
    fi
  fi
  look_compose
  docker buildx version >/dev/null 2>&1 || {
    MISSING+=" buildx"
    report buildx "missing"
  }
}

look_compose() {
  local version
  version=$(docker compose version --short 2>/dev/null) || version=
  version=${version#v}
  case $version in
    '' | 1.*)
      MISSING+=" compose"
      if have docker-compose; then
        report compose "only version 1 ($(docker-compose version --short 2>/dev/null || say '?')): it cannot read our file"
      else
        report compose "missing"
      fi
      ;;
    2.? | 2.?.* | 2.1?.* | 2.2[0-5].*)
      report compose "$version (older than 2.26.1, with which this was tested)"
      ;;
    *) report compose "$version" ;;
  esac
}

no_right_to_socket() {
  local me socket
  me=$(id -un)
  socket=$(engine_endpoint)
  if getent group docker 2>/dev/null | grep -Eq "[:,]$me(,|\$)" && ! id -nG | grep -qw docker; then
    die "$EX_RIGHTS" "$me may not use $socket yet: this session is older than its membership in the group docker" \
      "log in again, or: newgrp docker"
  fi
  die "$EX_RIGHTS" "$me may not use the engine's socket, $socket" \
    "sudo usermod -aG docker $me, then log in again (whoever is in that group can become root),
or run this once as root: sudo $0"
}

# ---- how it is brought

readonly DOCKERD_FAILED='the engine does not start'

# The commands that bring what is MISSING, as text: on Debian 12 and 13 we run them, elsewhere we show them.
install_commands() {
  local packages=
  case $(system_name) in
    debian-*) debian_commands ;;
    ubuntu)
      case $MISSING in *engine*) packages+=" docker.io" ;; esac
      case $MISSING in *compose*) packages+=" docker-compose-v2" ;; esac
      case $MISSING in *buildx*) packages+=" docker-buildx" ;; esac
      say "sudo apt-get update && sudo apt-get install$packages"
      ;;
    fedora)
      case $MISSING in *engine*) packages+=" moby-engine docker-cli" ;; esac
      case $MISSING in *compose*) packages+=" docker-compose" ;; esac
      case $MISSING in *buildx*) packages+=" docker-buildx" ;; esac
      say "sudo dnf install$packages && sudo systemctl enable --now docker"
      ;;
    arch)
      case $MISSING in *engine*) packages+=" docker" ;; esac
      case $MISSING in *compose*) packages+=" docker-compose" ;; esac
      case $MISSING in *buildx*) packages+=" docker-buildx" ;; esac
      say "sudo pacman -S --needed$packages && sudo systemctl enable --now docker"
      ;;
    macos)
      say "brew install --cask docker-desktop && open -a Docker"
      say "(or, without Docker Desktop: brew install colima docker docker-compose docker-buildx && colima start)"
      ;;
    *) say "install Docker Engine, its Compose plugin and its buildx plugin: $DOCS" ;;
  esac
}

# Docker's own packages and Debian's do not mix, so what is missing comes from where the client came from.
debian_commands() {
  local packages=ca-certificates compose=docker-compose buildx=docker-buildx
  if dpkg -s docker-ce-cli >/dev/null 2>&1; then
    compose=docker-compose-plugin buildx=docker-buildx-plugin
  fi
  case $MISSING in
    *engine*)
      packages+=" docker.io"
      [ "$(system_name)" = debian-12 ] || packages+=" docker-cli"
      ;;
  esac
  case $MISSING in *compose*) packages+=" $compose" ;; esac
  case $MISSING in *buildx*) packages+=" $buildx" ;; esac
  if [ "$(system_name)" = debian-12 ] && [ $compose = docker-compose ] && needs_trixie; then
    # Debian 12 has Compose v1 only. From Debian 13 come these two programs, and nothing else.
    cat <<COMMANDS
printf '%s\n' 'Types: deb' 'URIs: $(debian_mirror)' 'Suites: trixie' 'Components: main' \\
  'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >/etc/apt/sources.list.d/roadstead-trixie.sources
printf '%s\n' 'Package: *' 'Pin: release n=trixie' 'Pin-Priority: -1' '' \\
  'Package: docker-compose docker-buildx' 'Pin: release n=trixie' 'Pin-Priority: 500' >/etc/apt/preferences.d/roadstead-trixie
COMMANDS
  fi
  say "apt-get update"
  say "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages"
}

needs_trixie() {
  case $MISSING in *compose* | *buildx*) ;; *) return 1 ;; esac
  case $(apt-cache policy docker-compose 2>/dev/null | sed -n 's/^ *Candidate: //p') in
    2.* | [3-9].*) return 1 ;;
  esac
}

# The mirror that the machine uses already: it is the one that can be reached.
debian_mirror() {
  local uri
  uri=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' | head -n 1)
  say "${uri:-http://deb.debian.org/debian}"
}

# Before anything is done: whatever is missing that we may not bring ends it here, with the commands.
refuse_what_we_cannot_bring() {
  local system
  system=$(system_name)
  if [ -n "$MISSING" ]; then
    case $system in
      debian-*)
        may_be_root || die "$EX_RIGHTS" "missing:$MISSING; and only root can install it" \
          "as root:"$'\n'"$(install_commands)"
        ;;
      *) die "$EX_UNAVAILABLE" "missing:$MISSING" "$(install_commands)"$'\n'"(more: $DOCS)" ;;
    esac
  fi
  if [ -n "$STOPPED" ] && ! may_be_root; then
    die "$EX_RIGHTS" "the engine is not running, and only root can start it" "as root: $(start_command)"
  fi
}

start_command() {
  if [ -d /run/systemd/system ]; then
    say "systemctl start docker"
  elif [ -x /etc/init.d/docker ]; then
    say "service docker start"
  else
    say "dockerd"
  fi
}

install_missing() {
  local commands
  commands=$(install_commands)
  say "$commands"
  as_root sh -ec "$commands"
}

engine_answers() { within 20 docker version >/dev/null 2>&1; }

# wait_for_engine SECONDS [PID]: no longer than that process lives.
wait_for_engine() {
  local until=$((SECONDS + $1))
  until engine_answers; do
    [ $SECONDS -lt $until ] || return 1
    [ -z "${2:-}" ] || kill -0 "$2" 2>/dev/null || return 1
    sleep 0.5
  done
}

# With systemd, with an init script, or (in a container, say) with neither.
start_engine() {
  local dockerd log=/var/log/dockerd.log
  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker && wait_for_engine 60 && return
    as_root journalctl --no-pager --lines 20 --unit docker || true
  else
    if [ -x /etc/init.d/docker ] && as_root service docker start && wait_for_engine 30; then return; fi
    dockerd=$(command -v dockerd || say /usr/sbin/dockerd)
    as_root setsid sh -c "exec '$dockerd' >>$log 2>&1 </dev/null" &
    wait_for_engine 60 $! && return
    as_root tail -n 20 "$log" || true
  fi
  say "$DOCKERD_FAILED"
  return 1
}

stop_engine() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl stop docker.service docker.socket
  else
    as_root kill "$(cat /var/run/docker.pid)"
  fi
}

# ---- the base image

readonly CANNOT_MAKE_BASE='the base image cannot be made here'

have_base() { docker image inspect "$BASE_IMAGE" >/dev/null 2>&1; }

# Where no registry can be reached, Debian's own archive makes the same image.
bring_base() {
  within 300 docker pull --quiet "$BASE_IMAGE" && return
  say "no registry gives $BASE_IMAGE: making it from Debian's packages"
  case $(system_name) in debian-*) ;; *) say "$CANNOT_MAKE_BASE: not Debian 12 or 13" && return 1 ;; esac
  may_be_root || { say "$CANNOT_MAKE_BASE: not root" && return 1; }
  make_base || { say "$CANNOT_MAKE_BASE: mmdebstrap failed" && return 1; }
}

# Without a mirror named, mmdebstrap takes the security updates too.
make_base() {
  local archive folder without=() status=0
  if ! have mmdebstrap; then
    as_root apt-get update &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap uidmap zstd ||
      return
  fi
  for folder in man doc locale info; do without+=("--dpkgopt=path-exclude=/usr/share/$folder/*"); done
  # Into a file, not a pipe: half an archive would be imported as if it were all.
  archive=$(mktemp "${TMPDIR:-/tmp}/roadstead-base.XXXXXX") || return
  as_root mmdebstrap --variant=minbase --include=ca-certificates "${without[@]}" \
    '--dpkgopt=path-include=/usr/share/doc/*/copyright' --format=tar trixie - >"$archive" &&
    docker import --change 'CMD ["bash"]' "$archive" "$BASE_IMAGE" || status=1
  rm -f "$archive"
  return $status
}

# The engine with Compose, buildx and the base image; as in up.sh. Who started it may stop it again.
# shellcheck disable=SC2034
bring_engine() {
  STARTED_ENGINE=
  look_engine
  refuse_what_we_cannot_bring
  [ -z "$MISSING" ] || step "Install$MISSING" install_missing
  if ! engine_answers; then
    STARTED_ENGINE=yes
    step "Start the engine" start_engine
  fi
  have_base || step "Get the base image, $BASE_IMAGE" bring_base
}
