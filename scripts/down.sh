#!/usr/bin/env bash
# Stops the stack. Its data stays, unless told otherwise.
#
# Usage: scripts/down.sh [--erase [--yes]]
#   --erase   removes the data as well: database, keys, certificates, pages, the record of releases. Asks first
#   --yes     do not ask
#
# Variables: COMPOSE_PROJECT_NAME (roadstead), DOCKER_HOST
#
# Exit: 0 done, or nothing to do; 64 wrong usage; 69 the engine does not answer; 70 a step failed; 75 not confirmed

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"

# Without profiles of this project's file, a profile's services would be left behind.
down() { docker compose --profile '*' down --remove-orphans "$@"; }

# The record of releases is no service's, so Compose does not know it.
erase() {
  down --volumes
  case $1 in *"${PROJECT}_releases"*) docker volume rm "${PROJECT}_releases" ;; esac
}

labelled() { say "label=com.docker.compose.project=$PROJECT"; }

confirm() {
  local answer
  [ -t 0 ] || die "$EX_USAGE" "--erase removes data for good, and there is nobody here to ask" "scripts/down.sh --erase --yes"
  printf 'These volumes of %s, with all accounts, notes and keys, will be gone for good:\n%s\n' "$PROJECT" "$1"
  read -rp "Type the name of the stack to go on: " answer
  [ "$answer" = "$PROJECT" ] || die "$EX_BUSY" "that is not $PROJECT: nothing was changed" "run it again if you mean it"
}

main() {
  local erase='' yes='' containers volumes
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --erase) erase=yes ;;
      --yes) yes=yes ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  [ -n "$erase" ] || [ -z "$yes" ] || usage_error "--yes is for --erase"
  load_settings
  containers=$(docker ps --all --quiet --filter "$(labelled)" 2>&1) ||
    die "$EX_UNAVAILABLE" "the engine does not answer: ${containers##*$'\n'}" "scripts/up.sh says why, and what to do"
  volumes=$(docker volume ls --filter "$(labelled)" --format '  {{.Name}}')

  if [ -z "$containers$volumes" ]; then
    say "There is nothing of $PROJECT here."
    return
  fi
  if [ -n "$erase" ] && [ -n "$volumes" ] && [ -z "$yes" ]; then confirm "$volumes"; fi
  log_to "down-$PROJECT"
  if [ -n "$erase" ]; then
    step "Stop $PROJECT and erase its data" erase "$volumes"
    say "Gone. Its images are still there: docker image ls '$PROJECT-*'"
  else
    [ -z "$containers" ] || step "Stop $PROJECT" down
    say "Its data is kept, in these volumes; scripts/up.sh goes on with them, scripts/down.sh --erase removes them:"
    say "$volumes"
  fi
}

main "$@"
