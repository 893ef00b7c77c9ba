# shellcheck shell=bash
# Words, steps and settings that the scripts share. Sourced, never run. Works with macOS's bash 3.2 too.

# As in sysexits.h, where it has a name for it.
# shellcheck disable=SC2034
readonly EX_USAGE=64 EX_UNAVAILABLE=69 EX_FAILED=70 EX_BUSY=75 EX_RIGHTS=77 EX_SETTING=78

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

# ---- words

say() { printf '%s\n' "$*"; }

# One line of what was looked at.
report() { printf '  %-12s %s\n' "$1" "$2"; }

warn() { printf 'Warning: %s\n' "$*" >&2; }

# die STATUS CAUSE CURE: a cure may have several lines.
die() {
  local status=$1
  CAUSE=$2
  printf '\nCause: %s\nCure:  %s\n' "${2//$'\n'/$'\n'       }" "${3//$'\n'/$'\n'       }" >&2
  exit "$status"
}

# The comment at the top of a script is its help.
help() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

usage_error() {
  printf '%s: %s\nSee: %s --help\n' "${0##*/}" "$1" "$0" >&2
  exit "$EX_USAGE"
}

have() { command -v "$1" >/dev/null 2>&1; }

need_cargo() {
  have cargo || die "$EX_UNAVAILABLE" "there is no Rust here (no cargo in the PATH)" \
    "rustup, from https://rustup.rs, gives the current one; Debian 13: apt-get install -t trixie-backports cargo rustc"
}

# trust_in_builds CA_BUNDLE: where this machine trusts more than its system does, builds have to as well.
trust_in_builds() {
  local bundle=${1:-${CARGO_HTTP_CAINFO:-${SSL_CERT_FILE:-}}}
  if [ -s "$bundle" ]; then export CA_BUNDLE=$bundle; fi
}

# indent FILE LINES: the end of a log, set off from our own words.
indent() { tail -n "$2" "$1" | sed 's/^/    | /'; }

# within SECONDS COMMAND…: macOS has no timeout, and then waits as long as it takes.
within() {
  # --foreground: else it leaves our process group, and outlives an interruption.
  if have timeout; then timeout --foreground "$@"; else shift && "$@"; fi
}

# ---- rights

may_be_root() { [ "$(id -u)" = 0 ] || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# ---- settings: the environment, else a file .env at the top, as Compose reads them

# Compose's own variable for leaving it out; tests do.
env_file_counts() { [ -z "${COMPOSE_DISABLE_ENV_FILE:-}" ] && [ -r "$ROOT/.env" ]; }

# setting NAME DEFAULT
setting() {
  local value=
  if [ -n "${!1+set}" ]; then
    value=${!1}
  elif env_file_counts; then
    value=$(sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$ROOT/.env" |
      tail -n 1 | sed -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' -e t -e "s/^'\(.*\)'\$/\1/" -e t -e 's/[[:space:]]\{1,\}#.*//')
  fi
  printf '%s\n' "${value:-$2}"
}

where_set() { if [ -n "${!1+set}" ]; then say "the environment"; else say ".env"; fi; }

# Commands run at the top of the tree, where Compose finds its file.
# shellcheck disable=SC2034
load_settings() {
  cd "$ROOT"
  PROJECT=$(setting COMPOSE_PROJECT_NAME roadstead) PROJECT_PLACE=$(where_set COMPOSE_PROJECT_NAME)
  DOMAIN=$(setting ROADSTEAD_DOMAIN localhost)
  HTTP_PORT=$(setting ROADSTEAD_HTTP_PORT 80)
  HTTPS_PORT=$(setting ROADSTEAD_HTTPS_PORT 443)
  # What this checkout knows of that stack.
  STATE=$ROOT/target/up/$PROJECT
  readonly PROJECT DOMAIN HTTP_PORT HTTPS_PORT STATE
  export COMPOSE_PROJECT_NAME=$PROJECT
}

site_url() {
  if [ "$HTTPS_PORT" = 443 ]; then say "https://$DOMAIN/"; else say "https://$DOMAIN:$HTTPS_PORT/"; fi
}

# ---- steps

LOG=
STEP=0
CHILD=
CHILD_WORDS=

# own_folder PATH: below target/, which git does not see.
own_folder() {
  mkdir -p "$1" 2>/dev/null && [ -w "$1" ] ||
    die "$EX_RIGHTS" "$(id -un) may not write to $1" \
      "if an earlier run as root left it behind: sudo chown -R $(id -un) '$ROOT/target'"
}

# log_to NAME: the full output of all steps.
log_to() {
  own_folder target/log
  LOG=target/log/$1.log
  : >"$LOG"
  trap 'interrupted INT' INT
  trap 'interrupted TERM' TERM
  trap 'interrupted HUP' HUP
}

# What a script adds to an interruption.
on_interrupt() { :; }

interrupted() {
  trap '' INT TERM HUP
  stop_child
  printf '\nInterrupted%s.\n' "${CHILD_WORDS:+ while it was at: $CHILD_WORDS}" >&2
  on_interrupt
  case $1 in INT) exit 130 ;; HUP) exit 129 ;; *) exit 143 ;; esac
}

STOP_SIGNAL=TERM

# The command has a process group of its own, so that nothing it started outlives an interruption.
stop_child() {
  [ -n "$CHILD" ] || return 0
  kill "-$STOP_SIGNAL" -- "-$CHILD" 2>/dev/null || return 0
  local tries=0
  while kill -0 -- "-$CHILD" 2>/dev/null && [ $((tries += 1)) -le 300 ]; do sleep 0.1; done
  kill -KILL -- "-$CHILD" 2>/dev/null || true
}

# What the last command said.
CHILD_LOG=

# logged WORDS COMMAND…: runs it with its output in the log and its progress on the screen, and sets STATUS.
# It returns no status, lest somebody asks for it in an `if`: there, bash ignores `set -e` in all that is called.
logged() {
  local words=$1 began=$SECONDS start
  shift
  STEP=$((STEP + 1)) CHILD_WORDS=$words STATUS=0
  printf '\n== %s\n' "$words" >>"$LOG"
  start=$(wc -c <"$LOG")
  [ -t 1 ] || printf '%2d. %s\n' "$STEP" "$words"
  set -m
  "$@" </dev/null >>"$LOG" 2>&1 9>&- &
  CHILD=$!
  set +m
  watch_child "$began"
  wait "$CHILD" || STATUS=$?
  CHILD='' CHILD_WORDS=
  CHILD_LOG=$(tail -c +"$((start + 1))" "$LOG")
  if [ -t 1 ]; then printf '\r\033[K%2d. %s:' "$STEP" "$words"; else printf '   '; fi
  if [ "$STATUS" = 0 ]; then
    printf ' done, %d s\n' $((SECONDS - began))
  else
    printf ' FAILED after %d s\n' $((SECONDS - began))
  fi
}

watch_child() {
  local frames='|/-\' turn=0 last told=$1 width
  width=$(($(tput cols 2>/dev/null || echo 80) - 1))
  while kill -0 "$CHILD" 2>/dev/null; do
    if [ -t 1 ]; then
      last=$(tail -n 1 "$LOG" | tr -d '\r\033')
      printf -v last '%s %d. %s, %d s  %s' "${frames:turn++%4:1}" "$STEP" "$CHILD_WORDS" $((SECONDS - $1)) "$last"
      printf '\r\033[K%s' "${last:0:width}"
    elif [ $((SECONDS - told)) -ge 60 ]; then
      told=$SECONDS
      printf '    still at it, %d s\n' $((SECONDS - $1))
    fi
    sleep 0.1
  done
}

# explain TEXT: sets CAUSE and CURE for what a failed command said. Scripts put their own before it.
explain() {
  CAUSE="the step above failed"
  CURE="read its end above, or all of it in $LOG, and run this again: it goes on from there"
}

show_child_log() { printf '%s\n' "$CHILD_LOG" | tail -n 20 | sed 's/^/    | /' >&2; }

# What a script does about a failed step, beyond telling of it; it may change CAUSE and CURE.
on_failed_step() { :; }

# step WORDS COMMAND…: as logged, and a failure ends the script with the cause and the cure.
step() {
  logged "$@"
  [ "$STATUS" != 0 ] || return 0
  show_child_log
  explain "$CHILD_LOG"
  on_failed_step
  die "$EX_FAILED" "$CAUSE" "$CURE"
}
