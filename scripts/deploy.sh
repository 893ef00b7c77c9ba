#!/usr/bin/env bash
# Deploys a release while traffic flows, watches it, and goes back by itself where it does worse than the one before.
#
# Usage: scripts/deploy.sh [--dry-run] [--wait] [VERSION]
#   VERSION     a release that the host has already (scripts/status.sh lists them); without it, one is made of this checkout
#   --dry-run   look, say what would be done, and change nothing
#   --wait      while another act is at work on the host, wait for its end
#
# Images are built here and shipped to the host, none that it has already; through a registry, if ROADSTEAD_REGISTRY
# names one. Before anything is changed, the new nginx tries its configuration, the schema is held against the release, and
# `roadstead check --deploy` looks. Then: schema, assets, one slot, a watch, the other slot, pages, nginx if it changed
# (for about a second, nobody is answered), a watch. Whatever fails leads back to the release before. It is safe to repeat,
# and to interrupt: the stack serves, and the next run goes on.
#
# Variables, from the environment or .env, beside those of scripts/up.sh:
#   DOCKER_HOST                   the host, for instance ssh://user@server; it needs nothing but Docker
#   ROADSTEAD_REGISTRY            HOST[:PORT][/PATH] of a registry that both engines reach
#   ROADSTEAD_WATCH_SECONDS (30)  how long each watch takes
#   ROADSTEAD_WATCH_ERRORS (2)    the part of answers that may be errors, in percent, beyond that of the slot beside or the time before
#   ROADSTEAD_WATCH_SLOWER (3)    how many times as long the median answer may take
#
# Hooks: deploy/hooks/pre-deploy, post-deploy, on-failure (deploy/hooks/README.md)
#
# Exit: 0 it runs; 64 wrong usage; 69 something it needs is not there; 70 refused, or gone back, or failed: the last lines say
#       which; 75 another act is at work; 77 no right to do it; 78 a wrong setting; 129, 130 or 143 interrupted
# Everything that the steps say: target/log/deploy-PROJECT.log; a line of each act is kept on the host: scripts/status.sh

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
source "$here/_watch.sh"
source "$here/_check.sh"
source "$here/_hooks.sh"
source "$here/_deploy.sh"

# ---- look

look() {
  say "Looking. Nothing is changed yet."
  look_settings
  load_watch_settings
  look_host
  look_domain
  TO='' STALE='' IMAGE_IDS=
  if [ -n "$WANTED" ]; then look_wanted; else look_source; fi
  if ! is_serving; then
    ! engine_is_ready || look_names_taken
    look_ports
  fi
  # The host's, by its own account.
  if [ -n "$(recorded free)" ]; then
    report disk "$(recorded free) MB free on the host"
    [ "$(recorded free)" -ge 500 ] || die "$EX_UNAVAILABLE" "too little disk on the host: $(recorded free) MB free, 500 MB needed" \
      "free some there: docker system df shows what Docker itself holds"
  fi
}

look_wanted() {
  is_recorded "$WANTED" || die "$EX_UNAVAILABLE" "the host has no release $WANTED" \
    "without a version, one is made of this checkout; there are:"$'\n'"$(releases)"
  TO=$WANTED
  use_release "$TO"
  need_images
  look_containers
}

look_source() {
  case $(engine_endpoint) in
    unix:*) ;;
    *)
      on_builder look_engine
      refuse_what_we_cannot_bring
      ! engine_is_ready || need_same_store
      ;;
  esac
  STALE=" $IMAGES"
  engine_is_ready || return 0
  look_compose_file
  on_builder look_images
  if [ -n "$STALE" ]; then
    report images "to be built:$STALE"
    look_memory
    on_builder look_disk "$(on_builder disk_needed)"
  else
    report images current
    name_it
    look_containers
  fi
}

need_same_store() {
  local here there
  here=$(on_builder image_store) there=$(image_store)
  [ "$here" = "$there" ] || die "$EX_UNAVAILABLE" "this machine's engine and the host's keep images in two ways ($here, $there): no image would be known again" \
    "let both do it in one way: { \"features\": { \"containerd-snapshotter\": true } } (or false) in /etc/docker/daemon.json, then restart that engine"
}

name_it() {
  IMAGE_IDS=$(on_builder built_images)
  TO=$(name_version)
  report version "$TO"
}

# ---- say

plan() {
  local lines=() changes=''
  TO_DO=
  case $MISSING$STOPPED in ?*) lines+=("install and start what is missing of Docker:$MISSING") ;; esac
  [ -z "$STALE" ] || lines+=("build here what changed, if anything did:$STALE")
  if [ -z "$TO" ]; then
    lines+=("ship to the host what it lacks of the images")
    changes="whatever is out of date"
  else
    changes=$(all_of out_of_date | tr '\n' ' ')
    if [ -z "$changes" ] && [ "$TO" = "$CURRENT" ] && [ -z "$(recorded unfinished)" ]; then return; fi
    [ -z "$(lacking)" ] || lines+=("ship to the host what it lacks: $(lacking | tr '\n' ' ')")
  fi
  if is_serving; then
    lines+=("look before anything is changed: nginx's configuration, the schema, roadstead check")
    lines+=("replace, while the rest serves: ${changes:-nothing}")
    case " $changes " in *" postgres "*) lines+=("(PostgreSQL changed: for some seconds, what needs the database is answered 503)") ;; esac
    case " $changes " in *" nginx "*) lines+=("(nginx changed: for about a second, nobody is answered)") ;; esac
    lines+=("watch each slot and then the whole, for $WATCH_SECONDS s each; if it does worse, go back to ${CURRENT:-(no release is recorded: there is no way back)}")
  else
    lines+=("start the stack and wait until it is healthy")
  fi
  say "It will:"
  printf '  - %s\n' "${lines[@]}"
  TO_DO=yes
}

# ---- do

make_release() {
  on_builder bring
  [ -n "$TO" ] || name_it
  act "Ship what the host lacks" ship "$TO"
}

# The lock is a container of nginx's image, which a fresh host has not yet.
lock() {
  [ -z "$LOCKED" ] || return 0
  [ -n "$(image_on_host nginx)" ] || docker tag "$PROJECT-nginx:$TO" "$PROJECT-nginx"
  take_lock deploy
}

tell() {
  say "$TO runs: $(site_url)"
  [ "$FROM" = - ] || [ "$FROM" = "$TO" ] || say "Back to $FROM: scripts/rollback.sh"
  invite_first_administrator
}

main() {
  local dry=
  WANTED='' UNRESOLVED=
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --dry-run) dry=yes ;;
      --wait) WAIT=yes ;;
      -*) usage_error "unknown: $1" ;;
      *)
        [ -z "$WANTED" ] || usage_error "one version at a time, not $WANTED and $1"
        WANTED=$1
        ;;
    esac
    shift
  done
  load_settings
  look
  plan
  if [ -z "$TO_DO" ]; then
    say "$TO runs already, and all of it is well: nothing was changed."
    return
  fi
  if [ -n "$dry" ]; then
    say "A dry run: nothing was changed."
    return
  fi
  own_folder "$STATE"
  log_to "deploy-$PROJECT"
  [ -z "$(image_on_host nginx)" ] || lock
  [ -z "$WAITED" ] || look
  [ -n "$WANTED" ] || make_release
  lock
  begin "$CURRENT" "$TO"
  is_recorded "$TO" || record_release "$TO"
  use_release "$TO"
  look_containers
  move
  tell
}

main "$@"
