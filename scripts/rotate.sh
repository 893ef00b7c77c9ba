#!/usr/bin/env bash
# Replaces a key while the stack runs; nobody is refused, and nobody has to sign in again.
#
# Usage: scripts/rotate.sh signing | refresh | pepper | master [--prune] [--dry-run] [--wait]
#   signing     signs access tokens: the next key signs in a few seconds, the one before verifies for 35 minutes more.
#               By itself that happens every 30 days. A key that has leaked: docker compose exec -T app-blue roadstead keys revoke KID
#   refresh     authenticates refresh tokens: those of the old key stay good, and it goes at the first rotation after 31 days
#   pepper      goes into password hashes: each is made anew when its owner signs in
#   master      encrypts the signing keys in the database: they are encrypted anew within two minutes
#   --prune     pepper and master: make no new key, and remove the old ones that nothing needs any more; refused while something does
#   --dry-run   say what would be done, and change nothing
#   --wait      while another act is at work on the host, wait for its end
#
# A new refresh key, pepper or master key is used 20 s later, when every slot has read it. A release of before these keys were
# lists cannot start with more than one: no way back to such a one until the old keys are gone.
#
# Variables: COMPOSE_PROJECT_NAME (roadstead), DOCKER_HOST
#
# Exit: 0 done; 64 wrong usage; 69 the stack is not there, or does not run; 70 refused or failed; 75 another act is at work;
#       129, 130 or 143 interrupted

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_images.sh"
source "$here/_release.sh"
source "$here/_lock.sh"

# Sets SLOT, one that runs.
look() {
  local answer
  answer=$(within 20 docker version --format '{{.Server.Version}}' 2>&1) ||
    die "$EX_UNAVAILABLE" "the engine at $(engine_endpoint) does not answer: ${answer##*$'\n'}" "start it, or correct DOCKER_HOST"
  for SLOT in app-blue app-green ''; do
    [ -n "$SLOT" ] || die "$EX_UNAVAILABLE" "no slot of $PROJECT runs on this engine" "scripts/up.sh or scripts/deploy.sh brings it; scripts/status.sh shows what there is"
    answer=$(docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT" \
      --filter "label=com.docker.compose.service=$SLOT" --filter label=com.docker.compose.oneoff=False)
    [ -z "$answer" ] || break
  done
  docker exec "$answer" /roadstead keys --help >/dev/null 2>&1 ||
    die "$EX_UNAVAILABLE" "the release that runs knows no rotation" "scripts/deploy.sh, then run this again"
}

keys() { docker compose exec -T "$SLOT" /roadstead keys "$@"; }

init() { docker compose run --rm --no-deps -T init init "$@"; }

failed() {
  die "$EX_FAILED" "$1; what was said is above" "mend that, or see scripts/status.sh; then run this again: it is safe to repeat"
}

rotate() {
  if [ "$KIND" = signing ]; then
    keys rotate || failed "the signing key could not be rotated"
  else
    init rotate "$KIND" || failed "the new key could not be written"
    say "Every slot reads it within seconds: nothing is restarted."
    case $KIND in
      refresh) say "The old one stays for the tokens that it made." ;;
      *) say "To remove the old one, when nothing needs it any more: scripts/rotate.sh $KIND --prune" ;;
    esac
  fi
}

prune() {
  local needed
  needed=$(keys outdated "$KIND") || failed "it could not be looked up what needs the old keys"
  if [ "$needed" != 0 ]; then
    REFUSED=yes
    case $KIND in
      pepper) die "$EX_FAILED" "$needed accounts have a password hash of an older pepper, and could not sign in without it" \
        "keep it until they have signed in: each hash is made anew then" ;;
      master) die "$EX_FAILED" "$needed signing keys are encrypted under an older master key" \
        "run this again in two minutes; if it stays so: docker compose logs app-blue app-green" ;;
    esac
  fi
  init rotate "$KIND" --prune || failed "the old keys could not be removed"
  say "What was replaced over an hour ago is removed."
}

main() {
  local dry='' prune=
  KIND=
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --dry-run) dry=yes ;;
      --wait) WAIT=yes ;;
      --prune) prune=yes ;;
      signing | refresh | pepper | master)
        [ -z "$KIND" ] || usage_error "one at a time, not $KIND and $1"
        KIND=$1
        ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  [ -n "$KIND" ] || usage_error "say signing, refresh, pepper or master"
  case $KIND-$prune in signing-yes | refresh-yes) usage_error "old $KIND keys go by themselves: --prune is for pepper and master" ;; esac
  load_settings
  look
  if [ -n "$dry" ]; then
    if [ -n "$prune" ]; then
      say "$(keys outdated "$KIND") still need an older $KIND; it would be removed if none did."
    else
      say "A new $KIND key would be made, and the old one believed for as long as something needs it."
    fi
    say "A dry run: nothing was changed."
    return
  fi
  log_to "rotate-$PROJECT"
  take_lock rotate
  [ -z "$WAITED" ] || look
  begin "$KIND" "${prune:+pruned}"
  if [ -n "$prune" ]; then prune; else rotate; fi
}

main "$@"
