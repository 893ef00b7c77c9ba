#!/usr/bin/env bash
# Runs all tests, and brings what they need; its last line is "N passed, N failed".
#
# Usage: scripts/test.sh [--full] [SUITE…]
#   SUITE    lint, rust, stack (what ships, the browser included), browser (that part alone); without any: all
#   --full   the long versions of tests that have one (TEST_FULL=1 for them), and scripts/fuzz.sh
#
# On Debian 12 and 13 it installs what is missing: Docker, PostgreSQL's programs, Chromium, linters; Rust must be
# there. All it starts in the engine is called roadstead-test-… and is gone afterwards, also after Ctrl-C; a stack
# that is up is not touched. It needs no terminal and no input.
#
# Variables: CA_BUNDLE, where TLS is inspected (by default what SSL_CERT_FILE says)
#
# Exit: 0 all passed; 1 some failed, or nothing ran; 64 wrong usage; 69 something it needs is not there;
#       70 that could not be brought; 77 no right to bring it; 130 or 143 interrupted
# Everything that the suites say: target/log/test.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_suites.sh"

readonly SUITES='lint rust stack browser'

look_room() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
  say "Warm this takes about 40 minutes, the first time up to 50, and 10 GB of disk ($free MB free)."
  [ "$free" -ge 5000 ] || die "$EX_UNAVAILABLE" "too little disk: $free MB free here, and 5000 MB needed at the least" \
    "free some: cargo clean, docker builder prune"
}

main() {
  local suites='' name
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --full) export TEST_FULL=1 ;;
      -*) usage_error "unknown: $1" ;;
      *)
        case " $SUITES " in *" $1 "*) suites+=" $1" ;; *) usage_error "no such suite: $1; there are $SUITES" ;; esac
        ;;
    esac
    shift
  done
  suites=${suites:-lint rust stack}
  cd "$ROOT"
  set_own_settings
  look_room
  log_to test
  trap clear_up EXIT
  # shellcheck disable=SC2086
  bring_tools $suites
  bring_engine
  sweep
  for name in $suites; do suite "$name"; done
  closing
}

main "$@"
