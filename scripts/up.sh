#!/usr/bin/env bash
# Brings the stack up; a running one it brings up to date, without losing a request.
#
# Usage: scripts/up.sh [--dry-run] [--unresolved]
#   --dry-run      look, say what would be done, and change nothing
#   --unresolved   go on although ROADSTEAD_DOMAIN does not resolve yet
#
# It looks first, says what it will do, then does it. Running it again is safe, and goes on where an interrupted
# run stopped. On Debian 12 and 13 it brings what is missing of Docker; elsewhere it prints the commands.
#
# Variables, from the environment or a file .env beside docker-compose.yml:
#   ROADSTEAD_DOMAIN (localhost), ROADSTEAD_HTTP_PORT (80), ROADSTEAD_HTTPS_PORT (443), and the others named there
#   ROADSTEAD_ADMIN_EMAIL (admin@DOMAIN)   whom the first invitation is for
#   CA_BUNDLE                              where TLS is inspected: the certificates that the build shall trust
#   COMPOSE_PROJECT_NAME (roadstead)       a second stack on one machine needs another name and other ports
#   DOCKER_HOST                            an engine elsewhere, for instance ssh://user@server
#
# Exit: 0 it is up, 64 wrong usage, 69 something it needs is not there, 70 a step failed, 75 another run is at work,
#       77 no right to do it, 78 a wrong setting, 130 or 143 interrupted
# Everything that the steps say: target/log/up-PROJECT.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_looks.sh"
source "$here/_stack.sh"

# ---- look

look() {
  say "Looking. Nothing is changed yet."
  look_settings
  look_engine
  refuse_what_we_cannot_bring
  look_domain
  ROWS='' HASHES='' STALE=" $IMAGES"
  if engine_is_ready; then
    look_compose_file
    look_names_taken
    look_containers
    look_images
    if [ -n "$STALE" ]; then report images "to be built:$STALE"; else report images current; fi
  fi
  [ -z "$STALE" ] || look_memory
  look_disk "$(disk_needed)"
  look_ports
  look_earlier_run
}

engine_is_ready() { [ -z "$MISSING$STOPPED" ]; }

look_compose_file() {
  local answer
  answer=$(docker compose config --quiet 2>&1) ||
    die "$EX_SETTING" "Compose does not accept docker-compose.yml with these settings: $answer" \
      "correct the setting it names, in the environment or in .env"
}

# A container of our names that Compose did not make for this project would stop the start half-way.
look_names_taken() {
  local service name project
  for service in $SERVICES; do
    name=$PROJECT-$service-1
    project=$(docker ps --all --filter "name=^/?$name\$" --format '{{.Label "com.docker.compose.project"}}.')
    case $project in
      '' | "$PROJECT.") ;;
      *)
        die "$EX_UNAVAILABLE" "there is a container $name already, and it is not this project's" \
          "docker rm --force $name
or another name for this stack: COMPOSE_PROJECT_NAME=$PROJECT-2 scripts/up.sh"
        ;;
    esac
  done
}

# In MB: a first build with its cache, or one more version of the images.
disk_needed() {
  if [ -z "$STALE" ]; then
    say 200
  elif engine_is_ready && [ -n "$(image_id app)" ]; then
    say 1500
  else
    say 4000
  fi
}

look_earlier_run() {
  local service folder
  if [ -r "$STATE/unfinished" ]; then
    report "earlier run" "did not finish, it was at: $(cat "$STATE/unfinished"); this one goes on from there"
  fi
  [ -n "$ROWS" ] || return 0
  for service in $(all_of unwell); do report "not well" "$(condition "$service")"; done
  folder=$(cut -d ' ' -f 10- <<<"$ROWS" | grep -vxF "$ROOT" | head -n 1) || true
  [ -z "$folder" ] || warn "the stack $PROJECT was started from $folder; this run makes it that of $ROOT"
}

# ---- say

plan() {
  local lines=()
  case $MISSING in ?*) lines+=("install:$MISSING, by apt, from Debian's archive") ;; esac
  case $MISSING$STOPPED in ?*) lines+=("start the engine, if that has not done it") ;; esac
  if ! engine_is_ready || ! have_base; then
    lines+=("get the base image $BASE_IMAGE: from a registry, else made of Debian's packages")
  fi
  if [ -n "$STALE" ]; then
    if engine_is_ready && [ -n "$(image_id app)" ]; then
      lines+=("build what changed, if anything did:$STALE")
    else
      lines+=("build the images:$STALE (a first time takes minutes, and 4 GB of disk)")
    fi
  fi
  if is_serving; then
    if [ -n "$STALE$(all_of changed)$(all_of unwell)" ]; then
      lines+=("replace what is out of date or not well, and keep serving: the slots one after the other, pages last")
    fi
  else
    lines+=("start the stack and wait until it is healthy")
  fi
  if [ ${#lines[@]} = 0 ]; then return; fi
  say "It will:"
  printf '  - %s\n' "${lines[@]}"
  TO_DO=yes
}

# ---- do

act() {
  say "$1" >"$STATE/unfinished"
  step "$@"
}

on_interrupt() {
  printf 'What is half-made is not in use. Run scripts/up.sh again: it goes on from there.\n' >&2
}

bring() {
  [ -z "$MISSING" ] || act "Install$MISSING" install_missing
  if ! engine_answers; then act "Start the engine" start_engine; fi
  if ! engine_is_ready; then
    look_engine
    engine_is_ready || die "$EX_FAILED" "still not there:$MISSING" "$(install_commands)"
    look_compose_file
    look_containers
    look_images
  fi
  have_base || act "Get the base image, $BASE_IMAGE" bring_base
  # shellcheck disable=SC2086
  [ -z "$STALE" ] || act "Build the images:$STALE" build_images $STALE
}

update() {
  look_containers
  if is_serving; then update_running; else act "Start the stack, wait until it is healthy" start_stack; fi
  look_containers
}

out_of_date() { changed "$1" || unwell "$1"; }

# Each part is replaced while the others serve, and before those that need it to be new.
update_running() {
  local slots='app-blue app-green' slot
  ! out_of_date init || act "Make secrets and certificates that are missing" run_init
  ! out_of_date postgres ||
    act "Replace PostgreSQL (for some seconds, what needs the database is answered 503)" replace postgres --force-recreate
  ! out_of_date migrate || act "Bring the schema up to date" replace migrate
  ! out_of_date publish || act "Put the new release's assets beside the old ones" \
    docker compose run --rm --no-deps -T publish publish
  # The one that is not well first: it is of no use to anybody, and its sibling is.
  well app-green || slots='app-green app-blue'
  for slot in $slots; do
    ! out_of_date "$slot" || act "Replace $slot" replace_slot "$slot"
  done
  ! out_of_date publish || act "Switch to the new release's pages" replace publish
  ! out_of_date nginx || act "Replace nginx (for about a second, nobody is answered)" replace nginx
}

# What the step that failed said, in words of cause and cure, for `step`.
# shellcheck disable=SC2034
explain() {
  CAUSE="the step above failed"
  CURE="read its end above, or all of it in $LOG; then run scripts/up.sh again: it goes on from there"
  local bundle
  bundle=$(setting CA_BUNDLE '')
  said() { grep -qiE -e "$1" <<<"$CHILD_LOG"; }
  if said "$CANNOT_MAKE_BASE"; then
    CAUSE="no registry gives $BASE_IMAGE ($(grep -iE 'error|time|denied' <<<"$1" | head -n 1)),
and $(grep "$CANNOT_MAKE_BASE" <<<"$1")"
    CURE="let the engine reach a registry (a proxy, or a mirror in /etc/docker/daemon.json);
or run this as root on a Debian 12 or 13 that reaches Debian's archive;
or bring the image from elsewhere: docker save $BASE_IMAGE | ssh THIS-HOST docker load"
  elif said "$DOCKERD_FAILED"; then
    CAUSE="$DOCKERD_FAILED; why, its own words above tell"
    CURE="mend that, try it by hand: $(start_command); then run this again"
  elif said "$NOT_WELL"; then
    look_containers
    CAUSE=$(sed -n "s/^$NOT_WELL //p" <<<"$1" | tail -n 1)
    ! is_serving || CAUSE+="; the rest goes on serving, in the earlier version where it was not replaced yet"
  elif said 'certificate (problem|verif|signed by|was not)|self.signed certificate|peer certificate|local issuer|x509: |UnknownIssuer'; then
    CAUSE="a certificate was not accepted: TLS is inspected in this network, and a build does not trust the inspector"
    CURE="give the build the network's certificates:
CA_BUNDLE=${CARGO_HTTP_CAINFO:-${SSL_CERT_FILE:-/path/to/the/network/ca.pem}} scripts/up.sh"
    [ -z "$bundle" ] || CURE="$bundle (CA_BUNDLE) does not hold the authority that signed it; give a file that does"
  elif said 'no space left'; then
    CAUSE="the disk is full"
    CURE="free some space (docker system df, docker builder prune), then run this again"
  elif said 'port is already allocated|address already in use'; then
    CAUSE="somebody took port $HTTP_PORT or $HTTPS_PORT meanwhile"
    CURE="run this again: it will say who"
  elif said 'could not resolve|no such host|temporary failure|network is unreachable|connection timed out|i/o timeout|failed to fetch'; then
    CAUSE="something could not be reached over the network"
    CURE="mend the network (or the proxy: HTTPS_PROXY, for the engine and for builds), then run this again"
  elif said 'signal: 9|sigkill|cannot allocate memory|exit code: 137'; then
    CAUSE="something was killed, most likely for want of memory"
    CURE="give the machine more memory or swap (2 GB in all), then run this again"
  fi
}

# ---- tell

roadstead() { docker compose exec -T "$SLOT" roadstead "$@" </dev/null 2>>"$LOG"; }

invite_first_administrator() {
  local email count link
  email=$(setting ROADSTEAD_ADMIN_EMAIL "admin@$DOMAIN")
  SLOT=app-blue
  well app-blue || SLOT=app-green
  count=$(roadstead user list --admins --count) || { say "$count" >>"$LOG" && count=; }
  [ "${count:-0}" = 0 ] || return 0
  if [ -n "$count" ] && link=$(roadstead user invite "$email" --admin); then
    say "First administrator, $email: open this link (once, within 30 minutes)"
    say "  $link"
  else
    die "$EX_FAILED" "the stack is up, but no invitation for $email could be made: $(tail -n 1 "$LOG")" \
      "docker compose exec $SLOT roadstead user invite EMAIL --admin"
  fi
}

tell() {
  if [ -n "$TO_DO" ]; then say "The stack is up: $(site_url)"; else say "It is up and current, nothing was changed: $(site_url)"; fi
  invite_first_administrator
  say "Its certificate comes from its own authority; to make this machine trust it: scripts/trust.sh"
}

main() {
  local dry=
  UNRESOLVED='' TO_DO=''
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --dry-run) dry=yes ;;
      --unresolved) UNRESOLVED=yes ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  load_settings
  STATE=$ROOT/target/up/$PROJECT
  look
  plan
  if [ -n "$dry" ]; then
    say "A dry run: nothing was changed."
    return
  fi
  own_folder "$STATE"
  exec 9>"$STATE/lock"
  if have flock && ! flock -n 9; then
    die "$EX_BUSY" "another scripts/up.sh is at work on $PROJECT" "wait until it is done"
  fi
  log_to "up-$PROJECT"
  if [ -n "$TO_DO" ]; then
    bring
    update
  fi
  rm -f "$STATE/unfinished"
  tell
}

main "$@"
