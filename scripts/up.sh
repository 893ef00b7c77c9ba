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
source "$here/_images.sh"
source "$here/_stack.sh"
source "$here/_bring.sh"
source "$here/_release.sh"
source "$here/_lock.sh"

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

on_interrupt() {
  printf 'What is half-made is not in use. Run scripts/up.sh again: it goes on from there.\n' >&2
}

# ---- tell

tell() {
  if [ -n "$TO_DO" ]; then say "The stack is up: $(site_url)"; else say "It is up and current, nothing was changed: $(site_url)"; fi
  invite_first_administrator
  say "Its certificate comes from its own authority; to make this machine trust it: scripts/trust.sh"
}

main() {
  local dry='' version image
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
    take_lock up
    look_releases
    IMAGE_IDS=$(built_images)
    version=$(name_version)
    begin "$(recorded current)" "$version"
    for image in $IMAGES; do docker tag "$PROJECT-$image" "$PROJECT-$image:$version"; done
    is_recorded "$version" || record_release "$version"
    unfinished
    look_containers
    update
    settle "$version"
  fi
  rm -f "$STATE/unfinished"
  tell
}

main "$@"
