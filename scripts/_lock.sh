# shellcheck shell=bash disable=SC2016 # (what the host shall expand is in single quotes)
# One act at a time on a host, and a line in its log for each. Sourced, after _lib.sh and _release.sh.
#
# The lock is a container on the host: a name can be taken once only, whoever asks from wherever. It reads a pipe that we
# hold, so it ends with us and with whatever we started, however we end. What is there and does not run is nobody's.

LOCKED=
ACT=
WAIT=
# Time has passed since we looked.
# shellcheck disable=SC2034
WAITED=

lock_name() { say "$PROJECT-lock"; }

# take_lock ACT
take_lock() {
  local pipe said told=
  ACT=$1 REFUSED='' BEGAN='' CAUSE=''
  own_folder "$STATE"
  pipe=$STATE/lock.$$
  said=$STATE/lock-said.$$
  trap 'finish $?' EXIT
  until try_lock "$pipe" "$said"; do
    if ! look_lock; then continue; fi
    [ -n "$WAIT" ] || die "$EX_BUSY" "$HOLDER is at work on $PROJECT" \
      "wait for it: scripts/${0##*/} --wait …; if that machine is gone for good: docker rm --force $(lock_name)"
    # shellcheck disable=SC2034
    WAITED=yes
    if [ "$told" != "$HOLDER_ID" ]; then say "Waiting: $HOLDER is at work on $PROJECT." && told=$HOLDER_ID; fi
    sleep 1
  done
}

try_lock() {
  local answer
  rm -f "$1" "$2"
  mkfifo "$1"
  # A group of its own, or a terminal's Ctrl-C would end it before us.
  set -m
  docker run --rm --interactive --name "$(lock_name)" --network none --no-healthcheck --read-only --user 65534:65534 --cap-drop ALL \
    --security-opt no-new-privileges --log-driver none --pull never \
    --label "roadstead.act=$ACT" --label "roadstead.owner=$(whoami_here)" --label "roadstead.pid=$$" \
    --entrypoint sh "$PROJECT-nginx" -c 'echo "taken $(cat /etc/hostname)"; exec cat >/dev/null' <"$1" >"$2" 2>&1 &
  CLIENT=$!
  set +m
  exec 8>"$1"
  rm "$1"
  until grep -q '^taken ' "$2" 2>/dev/null; do
    if ! kill -0 "$CLIENT" 2>/dev/null; then
      exec 8>&-
      answer=$(cat "$2")
      rm "$2"
      case $answer in *'already in use'*) return 1 ;; esac
      die "$EX_FAILED" "the lock on $PROJECT could not be taken: ${answer%%$'\n'*}" "see that the engine is well: docker info"
    fi
    sleep 0.1
  done
  # A container's name for itself is its id.
  LOCKED=$(sed -n 's/^taken //p' "$2")
  rm "$2"
}

# Sets HOLDER, in words; fails when there is none, and clears away what none holds.
look_lock() {
  local row state created act owner pid
  row=$(docker inspect --format '{{.ID}} {{.State.Status}} {{.Created}} {{index .Config.Labels "roadstead.act"}} {{index .Config.Labels "roadstead.owner"}} {{index .Config.Labels "roadstead.pid"}}' "$(lock_name)" 2>/dev/null) || return 1
  read -r HOLDER_ID state created act owner pid <<<"$row"
  HOLDER="$act of $owner (process $pid, for $(age "$created"))"
  case $state in
    running) return 0 ;;
    created) [ "$(seconds_since "$created")" -ge 20 ] || return 0 ;;
  esac
  docker rm --force "$HOLDER_ID" >/dev/null 2>&1 || true
  return 1
}

whoami_here() { say "${SUDO_USER:-$(id -un)}@$(uname -n)"; }

# Of an engine's time, 2026-01-31T12:00:00.123Z, in seconds; GNU's date or BSD's.
epoch() { date -u -d "${1%%.*}" +%s 2>/dev/null || date -u -j -f %FT%T "${1%%[.Z]*}" +%s; }

seconds_since() { say $(($(date -u +%s) - $(epoch "$1"))); }

age() {
  local seconds
  seconds=$(seconds_since "$1")
  if [ "$seconds" -lt 120 ]; then say "$seconds s"; elif [ "$seconds" -lt 7200 ]; then say "$((seconds / 60)) min"; else say "$((seconds / 3600)) h"; fi
}

# begin FROM TO: from here on the log has it. One that was killed before us could not write its line.
begin() {
  FROM=${1:--} TO=${2:--} BEGAN=$SECONDS
  make_record
  host_sh '
    if [ -e at-work ]; then printf "%s\t-\tkilled\n" "$(cat at-work)" >>audit.log; fi
    printf "%s\t%s\t%s\t%s\t%s\n" "$(date -u +%FT%TZ)" "$@" >at-work' "$ACT" "$FROM" "$TO" "$(whoami_here)"
}

# unfinished: from here on the stack is changed.
unfinished() { host_sh 'printf "%s\t%s\t%s\n" "$@" >unfinished' "$ACT" "$FROM" "$TO"; }

ending() {
  local why=${CAUSE%%$'\n'*}
  why=${why//$'\t'/ }
  case $1 in
    0) say ok ;;
    129 | 130 | 143) say interrupted ;;
    *) if [ -n "$REFUSED" ]; then say "refused: $why"; else say "failed: $why"; fi ;;
  esac
}

# finish STATUS: at every exit.
finish() {
  trap '' INT TERM HUP
  trap - EXIT
  stop_child
  rm -f "$STATE/lock.$$" "$STATE/lock-said.$$"
  [ -n "$LOCKED" ] || return 0
  if [ -n "$BEGAN" ]; then
    # The time is the end's; the line before the begin's.
    host_sh '
      printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\n" "$(date -u +%FT%TZ)" "$@" >>audit.log
      rm -f at-work' "$ACT" "$FROM" "$TO" "$(whoami_here)" $((SECONDS - BEGAN)) "$(ending "$1")" ||
      warn "this act is missing in the host's log"
  fi
  # By force: a connection of ssh that outlives us may have inherited the pipe.
  exec 8>&-
  docker rm --force "$LOCKED" >/dev/null 2>&1 || true
  wait "$CLIENT" 2>/dev/null || true
}
