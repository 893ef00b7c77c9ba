#!/usr/bin/env bash
# Maintenance: everybody gets a page that says so (503), but administrators and the health checks.
#
# Usage: scripts/maintenance.sh on | off | status [--dry-run] [--wait]
#   on          from now on, until off, also over restarts; prints a link that lets an administrator's browser through
#   off         the site is open again, and no such link works any longer
#   status      whether it is on, since when, and by whom
#   --dry-run   say what would be done, and change nothing
#   --wait      while another act is at work on the host, wait for its end
#
# Programs get application/problem+json with the code "maintenance", and Retry-After. Requests under way are answered, nothing
# is restarted. `on` when it is on already prints one more link; `off` when it is off does nothing.
#
# Variables: COMPOSE_PROJECT_NAME (roadstead), ROADSTEAD_DOMAIN, ROADSTEAD_HTTPS_PORT, DOCKER_HOST
#
# Exit: 0 done; 64 wrong usage; 69 the stack is not there; 70 a step failed; 75 another act is at work; 129, 130 or 143 interrupted

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_images.sh"
source "$here/_release.sh"
source "$here/_lock.sh"

# in_site SCRIPT [ARGUMENT…]: beside the files of the site, as their owner.
in_site() {
  local script=$1
  shift
  docker run --rm --network none --no-healthcheck --read-only --user 10001:10001 --cap-drop ALL --security-opt no-new-privileges \
    --log-driver none --pull never --volume "${PROJECT}_site:/srv/site" --entrypoint sh "$PROJECT-nginx" -euc "cd /srv/site; $script" sh "$@"
}

# Sets SINCE and BY, empty when it is off; and NGINX, the container, empty when it does not run.
look() {
  local answer
  answer=$(within 20 docker version --format '{{.Server.Version}}' 2>&1) ||
    die "$EX_UNAVAILABLE" "the engine at $(engine_endpoint) does not answer: ${answer##*$'\n'}" "start it, or correct DOCKER_HOST"
  { docker volume inspect "${PROJECT}_site" && docker image inspect "$PROJECT-nginx"; } >/dev/null 2>&1 ||
    die "$EX_UNAVAILABLE" "there is no stack $PROJECT on this engine" "scripts/up.sh or scripts/deploy.sh brings it"
  NGINX=$(docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT" \
    --filter label=com.docker.compose.service=nginx --filter label=com.docker.compose.oneoff=False)
  answer=$(in_site '[ ! -e maintenance/on ] || cat maintenance/on') || failed
  SINCE='' BY=
  [ -z "$answer" ] || IFS=$'\t' read -r SINCE BY <<<"$answer"
}

failed() {
  die "$EX_FAILED" "the volume ${PROJECT}_site could not be used; what the engine said is above" \
    "see that the engine is well and its disk not full: docker info, docker system df; then run this again"
}

# The folder comes whole, with a first key in it and none of an earlier time. Prints the new key.
# shellcheck disable=SC2016
turn_on() {
  in_site '
    key=$(od -An -N32 -tx1 /dev/urandom | tr -d " \n")
    if [ -e maintenance/on ]; then
      : >"maintenance/pass/$key"
    else
      rm -rf maintenance maintenance.new
      mkdir -p maintenance.new/pass
      : >"maintenance.new/pass/$key"
      printf "%s\t%s\n" "$(date -u +%FT%TZ)" "$1" >maintenance.new/on
      sync maintenance.new/on maintenance.new/pass maintenance.new
      mv maintenance.new maintenance
      sync .
    fi
    echo "$key"' "$(whoami_here)"
}

# The sign goes first, the keys a moment later: a request that has seen the one is about to look for the other.
turn_off() {
  in_site '
    [ ! -e maintenance/on ] || { rm maintenance/on && sync maintenance && sleep 1; }
    rm -rf maintenance'
}

tell() {
  if [ -n "$SINCE" ]; then say "Maintenance is on, for $(age "$SINCE"): since $SINCE, by $BY."; else say "Maintenance is off."; fi
  [ -n "$NGINX" ] || say "nginx does not run: nobody is answered."
}

# A release of earlier days does not look for the file: it would go on serving.
check_nginx() {
  [ -z "$NGINX" ] || docker exec "$NGINX" test -e /run/nginx/snippets/maintenance.conf ||
    die "$EX_UNAVAILABLE" "the nginx that runs is of a release that knows no maintenance" "scripts/deploy.sh, then run this again"
}

plan() {
  case $WANTED-${SINCE:+on} in
    on-) say "It would be turned on: all visitors of $(site_url) would be told to come back soon." ;;
    on-on) say "It would stay on, and one more link for administrators would be made." ;;
    off-on) say "It would be turned off: $(site_url) would be open again, and the links for administrators gone." ;;
    off-) say "It would stay off." ;;
  esac
  say "A dry run: nothing was changed."
}

turn() {
  local key
  if [ "$WANTED" = off ]; then
    turn_off || failed
    say "Maintenance is off: $(site_url) is open again."
    return
  fi
  key=$(turn_on) || failed
  say "Maintenance is ${SINCE:+still }on: all visitors of $(site_url) are told to come back soon."
  say "For administrators, a link that lets their browser through:"
  say "  $(site_url)maintenance/pass?$key"
  say "To end it: scripts/maintenance.sh off"
}

main() {
  local dry='' from=off
  WANTED=
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --dry-run) dry=yes ;;
      --wait) WAIT=yes ;;
      on | off | status)
        [ -z "$WANTED" ] || usage_error "one at a time, not $WANTED and $1"
        WANTED=$1
        ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  [ -n "$WANTED" ] || usage_error "say on, off or status"
  load_settings
  look
  [ "$WANTED" != on ] || check_nginx
  if [ "$WANTED" = status ]; then tell && return; fi
  if [ -n "$dry" ]; then tell && plan && return; fi
  if [ "$WANTED" = off ] && [ -z "$SINCE" ]; then tell && return; fi
  log_to "maintenance-$PROJECT"
  take_lock maintenance
  [ -z "$WAITED" ] || look
  [ -z "$SINCE" ] || from=on
  begin "$from" "$WANTED"
  turn
}

main "$@"
