#!/usr/bin/env bash
# The fast half of scripts/test.sh, to run before each commit: linters, nginx's configuration, the tests in Rust.
#
# Usage: scripts/check.sh
#
# Under two minutes when warm. Without Docker it leaves nginx out, and says so.
#
# Exit: 0 all passed; 1 some failed; 64 wrong usage; 69 something it needs is not there; 70 that could not be
#       brought; 77 no right to bring it; 130 or 143 interrupted
# Everything that it says: target/log/check.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_suites.sh"

main() {
  case ${1:-} in
    '') ;;
    -h | --help) help && exit ;;
    *) usage_error "unknown: $1" ;;
  esac
  cd "$ROOT"
  set_own_settings
  log_to check
  trap clear_up EXIT
  bring_tools lint rust
  suite lint
  if engine_answers && have_base; then
    suite nginx
  else
    say "nginx"
    say "    left out: the engine does not run here, or has no base image yet (scripts/up.sh brings both)"
  fi
  suite rust
  closing
}

main "$@"
