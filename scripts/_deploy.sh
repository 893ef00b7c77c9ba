# shellcheck shell=bash
# From one release to another while traffic flows, and back where it does not do. Sourced by deploy.sh and rollback.sh.

# FROM and TO: versions. Once the stack is changed a failure leads back to FROM.
CHANGED=
GOING_BACK=
REASON=
REPLACED=
BEFORE=

# ---- look

look_host() {
  look_engine
  refuse_what_we_cannot_bring
  ROWS='' HASHES='' RECORD='' CURRENT=
  engine_is_ready || return 0
  look_releases
  look_containers
  CURRENT=$(recorded current)
  if [ -n "$(recorded unfinished)" ]; then
    report "earlier act" "did not finish: $(recorded unfinished), from $(recorded unfinished 3) to $(recorded unfinished 4)"
  fi
  report release "${CURRENT:-none is recorded here}"
}

# Somebody may have cleared them away.
need_images() {
  local missing
  missing=$(lacking | tr '\n' ' ')
  [ -z "$missing" ] || die "$EX_UNAVAILABLE" "the host has the record of $TO, but no longer its images: $missing" \
    "make it anew from its source: git checkout, then scripts/deploy.sh"
}

# ---- preflight: nothing is changed by it

refuse() {
  REFUSED=yes
  keep_names
  die "$EX_FAILED" "$1. Nothing was changed" "$2"
}

# Where the builder is the host, the build has given `latest` to what is not going to run.
keep_names() { [ "$FROM" = - ] || name_images "$FROM" || true; }

# A step that asks only: its failure refuses the act.
ask() {
  logged "$@"
  [ "$STATUS" = 0 ] || show_child_log
}

# The release by its version's own tags: `latest` is still the old one's.
before_it_is_latest() {
  local file=$STATE/releases/$TO.before.yml
  sed -E "s#^(    image: $PROJECT-(app|postgres|nginx))\$#\\1:$TO#" "$STATE/releases/$TO.yml" >"$file"
  COMPOSE_FILE=$file "$@"
}

in_release() { before_it_is_latest docker compose --profile '*' run --rm --no-deps -T "$@" </dev/null; }

new_nginx() { in_release --entrypoint sh nginx -euc 'sed "/exec nginx/d" /entry.sh | sh'; }

# As it will be: what runs is about to go.
check_release() {
  local facts
  facts=$(
    exec 2>/dev/null
    printf '\n== nginx\n'
    in_release --entrypoint sh nginx -euc 'sed "s/exec nginx/exec nginx -T/" /entry.sh | sh' || true
    gather_common ":$TO"
  )
  before_it_is_latest check_with "$facts" --deploy
}

# What the program that runs now needs of the schema. One that is too old to say may need anything.
running_requires() {
  docker run --rm --network none --read-only --cap-drop ALL --pull never "$PROJECT-app:$FROM" migrate --requires 2>/dev/null || say 0
}

schema() {
  local requires=
  [ "$FROM" = - ] || requires=$(running_requires)
  in_release migrate migrate --check ${requires:+--running "$requires"}
}

# A stack that does not run has no schema and no rights to look at; its start tells.
preflight() {
  is_serving || return 0
  if ! well postgres; then
    # What should run is put back, and PostgreSQL is part of it.
    [ "$FROM" != "$TO" ] || return 0
    refuse "$(condition postgres), so that the schema cannot be looked at" "docker compose start postgres, or scripts/rollback.sh current; then this again"
  fi
  ask "Try the new nginx's configuration" new_nginx
  [ "$STATUS" = 0 ] || refuse "nginx of $TO does not accept its configuration" "mend what its words above name, and deploy again"
  ask "Hold the schema against the release" schema
  case $STATUS in
    0) ;;
    3) refuse "the schema has gone past what $TO can read" "a later release removed what $TO needs: mend forward, with a new release (app/migrations/README.md)" ;;
    4) refuse "the schema's history is not that of $TO" "build from the source that the running release came from, or one after it" ;;
    5) refuse "a migration of $TO would take away what $FROM, which still serves meanwhile, needs" \
      "first deploy a release that does without it, then this one (app/migrations/README.md)" ;;
    *) refuse "the schema could not be looked at" "mend what the words above name, and deploy again" ;;
  esac
  ask "Check the configuration" check_release
  [ "$STATUS" = 0 ] || refuse "roadstead check found what must not be deployed" "mend what it names above"
}

# ---- go

after_slot() {
  REPLACED+=" $1"
  [ -n "$GOING_BACK" ] || act "Watch $1" watch "$1"
}

change_to() {
  name_images "$1" || die "$EX_FAILED" "${REASON:+$REASON; and }an image of $1 is no longer on the host" \
    "make it anew from its source: git checkout, then scripts/deploy.sh"
  look_containers
  update
}

# What it is held against in the end: of the slots that are still the other release's, the last minute.
before() {
  local slot rest
  say "in the last minute:"
  tally $(($(host_clock) - 60)) | while read -r slot rest; do
    if changed "$slot"; then say "$slot $rest"; fi
  done
}

go_to() {
  CHANGED=yes
  unfinished
  ! is_serving || BEFORE=$(before)
  change_to "$TO"
  [ -z "$BEFORE" ] || act "Watch the whole" watch app-blue app-green
  settle "$TO"
}

# By this, the reason of a failed step is the reason of the way back.
on_failed_step() {
  [ -n "$CHANGED" ] || return 0
  local reason=${CAUSE%; the rest goes on serving*}
  if [ -n "$GOING_BACK" ]; then
    CAUSE="$REASON; and the way back failed, too: $reason"
    CURE="scripts/status.sh shows what runs; scripts/rollback.sh current tries the way back once more"
    return
  fi
  if [ "$FROM" = - ] || [ "$FROM" = "$TO" ]; then return; fi
  GOING_BACK=yes REASON=$reason
  printf '\n%s: %s. Going back to %s.\n' "$TO" "$reason" "$FROM"
  use_release "$FROM"
  change_to "$FROM"
  settle "$FROM"
  # shellcheck disable=SC2034
  CAUSE="$reason. $FROM serves again" \
    CURE="mend $TO and deploy anew; its log: docker logs, or $LOG"
  run_hook on-failure
}

on_interrupt() {
  if [ -n "$CHANGED" ]; then
    printf 'The stack serves. scripts/%s again goes on from there; scripts/rollback.sh current goes back to %s.\n' "${0##*/}" "$FROM" >&2
  else
    printf 'Nothing was changed.\n' >&2
  fi
}

# move: under the lock, from FROM to TO, which the host has.
move() {
  preflight
  run_hook pre-deploy
  [ "$STATUS" = 0 ] || refuse "the hook pre-deploy ended with $STATUS" "its words are above; it is deploy/hooks/pre-deploy"
  go_to
  rm -f "$STATE/unfinished"
  run_hook post-deploy
}
