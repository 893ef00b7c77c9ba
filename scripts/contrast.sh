#!/usr/bin/env bash
# Contrasts the development server with the production stack: several sign-ins at once, each a password hash.
#
# Usage: scripts/contrast.sh [SIGN-INS]
#   SIGN-INS   how many at once, 2 to 7 (6): with those before, as many as nginx lets one address make in a burst
#
# Needs a stack that is up (scripts/up.sh) and Rust. It starts a development server, makes an account on the stack, and
# ends and disables them afterwards. Both run the same code; the development server's is a development build, in which
# Argon2 is optimised as in a release.
#
# Exit: 0 done, 64 wrong usage, 69 something it needs is not there, 70 a step failed, 130 or 143 interrupted
# Everything that its steps say: target/log/contrast.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"

# One that was disabled stays so: each run has its own.
EMAIL=contrast-$(date +%s)@example.org
readonly EMAIL
FOLDER='' DEV=''

roadstead() { docker compose exec -T app-blue roadstead "$@"; }

clear_up() {
  trap - EXIT
  [ -z "$DEV" ] || kill -INT "$DEV" 2>/dev/null || true
  [ -z "$DEV" ] || wait "$DEV" 2>/dev/null || true
  roadstead user disable "$EMAIL" </dev/null >/dev/null 2>&1 || true
  [ -z "$FOLDER" ] || rm -r "$FOLDER"
}

build() { cargo build --locked --bin roadstead --example load; }

prepare() {
  docker compose exec -T nginx cat /secrets/nginx/site-ca.crt >"$FOLDER/ca" </dev/null
  roadstead user create "$EMAIL" --password-stdin <<<"$PASSWORD"
}

start_dev() {
  : >"$FOLDER/dev"
  # The stack's settings are not for it.
  # shellcheck disable=SC2046
  env $(compgen -e | sed -n 's/^ROADSTEAD_/-u &/p') "$ROOT/target/debug/roadstead" dev --listen 127.0.0.1:0 >"$FOLDER/dev" 2>&1 &
  DEV=$!
  until grep -q Ctrl-C "$FOLDER/dev"; do
    kill -0 "$DEV" 2>/dev/null || die "$EX_FAILED" "the development server does not start: $(tail -n 3 "$FOLDER/dev")" \
      "try it by hand: cargo run -- dev"
    sleep 0.1
  done
}

# sign_in URL EMAIL PASSWORD COUNT AT-ONCE: the milliseconds that all of them took.
sign_in() {
  local report
  report=$("$ROOT/target/debug/examples/load" --cacert "$FOLDER/ca" --count "$4" --connections "$5" --expect 200 \
    --request "POST /api/v1/auth/token {\"email\":\"$2\",\"password\":\"$3\"}" --header 'Content-Type: application/json' \
    "$1" 2>"$FOLDER/said") ||
    die "$EX_FAILED" "not every sign-in at $1 succeeded: $(tail -n 4 "$FOLDER/said")" \
      "if it says status_429: nginx lets one address sign in only so often; wait half a minute"
  awk -F: '/"seconds"/ { printf "%d\n", $2 * 1000; exit }' <<<"$(tr ',' '\n' <<<"$report")"
}

# row WORDS URL EMAIL PASSWORD
row() {
  local one many
  sign_in "$2" "$3" "$4" 1 1 >/dev/null
  one=$(sign_in "$2" "$3" "$4" 2 1)
  one=$((one / 2))
  many=$(sign_in "$2" "$3" "$4" "$COUNT" "$COUNT")
  printf '%-22s %7d ms %14d ms %9s\n' "$1" "$one" "$many" "$(awk "BEGIN { printf \"%.1f x\", $many / $one }")"
}

main() {
  COUNT=6
  case ${1:-} in
    '') ;;
    -h | --help) help && exit ;;
    [2-7]) COUNT=$1 ;;
    *) usage_error "not a number from 2 to 7: $1" ;;
  esac
  [ $# -le 1 ] || usage_error "unknown: $2"
  load_settings
  have cargo || die "$EX_UNAVAILABLE" "there is no Rust here (no cargo in the PATH)" "rustup, from https://rustup.rs"
  engine_answers || die "$EX_UNAVAILABLE" "the engine does not answer" "scripts/up.sh"
  roadstead user list --count </dev/null >/dev/null 2>&1 || die "$EX_UNAVAILABLE" "the stack $PROJECT is not up" "scripts/up.sh"
  PASSWORD=$(head -c 18 /dev/urandom | base64)
  log_to contrast
  FOLDER=$(mktemp -d)
  trap clear_up EXIT
  step "Build the development server and the load client" build
  step "Make an account on the stack" prepare
  start_dev
  printf '\n%-22s %10s %17s\n' '' 'one alone' "$COUNT at once, all"
  row "development server" "$(grep -o 'http://[^/]*' "$FOLDER/dev" | head -n 1)" \
    dev@example.org "$(sed -n 's/.*, password //p' "$FOLDER/dev")"
  row "production stack" "$(site_url)" "$EMAIL" "$PASSWORD"
  printf '\nThe development server answers one request at a time: %d take about %d times one.\n' "$COUNT" "$COUNT"
  printf 'The stack hashes on cores/2 threads (one to eight) in each of its two slots; this machine has %d cores.\n' "$(nproc)"
}

main "$@"
