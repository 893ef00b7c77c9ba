#!/usr/bin/env bash
# Goes back to an earlier release while traffic flows, with the same gates as a deploy.
#
# Usage: scripts/rollback.sh [--dry-run] [--wait] [VERSION]
#   VERSION     a release that the host has (scripts/status.sh lists them); without it, the one before the current one.
#               `current` puts back what should run, after an act that did not finish
#   --dry-run   look, say what would be done, and change nothing
#   --wait      while another act is at work on the host, wait for its end
#
# Nothing is built and nothing is shipped: the host has it all. The schema stays as it is, for migrations first add and later
# remove; where it has gone past what that release can read, the way back is refused. It is safe to repeat, and to interrupt.
#
# Variables: those of scripts/deploy.sh
#
# Exit: 0 it runs; 64 wrong usage; 69 something it needs is not there; 70 refused or failed: the last lines say which;
#       75 another act is at work; 77 no right to do it; 78 a wrong setting; 129, 130 or 143 interrupted
# Everything that the steps say: target/log/rollback-PROJECT.log

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

look() {
  say "Looking. Nothing is changed yet."
  look_settings
  load_watch_settings
  look_host
  engine_is_ready && [ -n "$CURRENT" ] || die "$EX_UNAVAILABLE" "there is no release of $PROJECT on this host" "scripts/deploy.sh makes one"
  case $WANTED in
    '')
      TO=$(recorded previous)
      [ -n "$TO" ] || die "$EX_UNAVAILABLE" "there is no release before $CURRENT" "scripts/deploy.sh"
      ;;
    current) TO=$CURRENT ;;
    *) TO=$WANTED ;;
  esac
  is_recorded "$TO" || die "$EX_UNAVAILABLE" "the host has no release $TO" "there are:"$'\n'"$(releases)"
  use_release "$TO"
  need_images
  look_containers
  report "back to" "$TO"
}

plan() {
  local changes
  TO_DO=
  changes=$(all_of out_of_date | tr '\n' ' ')
  if [ -z "$changes" ] && [ "$TO" = "$CURRENT" ] && [ -z "$(recorded unfinished)" ]; then return; fi
  TO_DO=yes
  say "It will:"
  say "  - look before anything is changed: nginx's configuration, the schema, roadstead check"
  say "  - put back, while the rest serves: ${changes:-nothing}"
  case " $changes " in *" nginx "*) say "    (nginx changed: for about a second, nobody is answered)" ;; esac
  say "  - watch each slot and then the whole, for $WATCH_SECONDS s each; if it does worse, return to $CURRENT"
}

main() {
  local dry=
  WANTED=
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
  log_to "rollback-$PROJECT"
  take_lock rollback
  [ -z "$WAITED" ] || look
  begin "$CURRENT" "$TO"
  move
  say "$TO runs again: $(site_url)"
}

main "$@"
