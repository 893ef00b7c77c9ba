#!/usr/bin/env bash
# Tries inputs that no one thought of on the verifier of access tokens, guided by the paths that they take through it.
#
# Usage: scripts/fuzz.sh [--seconds N]
#   --seconds   how long (60); building it takes some minutes more, the first time
#
# libFuzzer, with the stable compiler. What was found interesting stays in target/fuzz/corpus, and the next run goes on
# from there. An input that fails is kept in target/fuzz/failed, and this says how to try it again.
#
# Needs Rust and a C++ compiler.
#
# Exit: 0 nothing failed, 64 wrong usage, 69 something it needs is not there, 70 a step failed, or an input did,
#       130 or 143 interrupted
# Everything that it says: target/log/fuzz.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"

readonly FOLDER=target/fuzz

# Counters on each edge, and what is compared with what: libFuzzer's -fsanitize=fuzzer-no-link in rustc's words.
readonly COVERAGE='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares'

build() {
  # The versions that ship; cargo adds what is for the fuzzer only.
  cp Cargo.lock app/fuzz/Cargo.lock
  # With --target, the flags are for the program alone, not for what builds it.
  RUSTFLAGS=$COVERAGE cargo build --release --manifest-path app/fuzz/Cargo.toml --target-dir "$FOLDER" --target "$HOST"
}

try() {
  FUZZ_SEEDS=$FOLDER/seeds "$PROGRAM" -max_total_time="$1" -max_len=4096 -timeout=60 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$FOLDER/failed/" "$FOLDER/corpus" "$FOLDER/seeds"
}

on_failed_step() {
  local input
  input=$(sed -n "s|.*Test unit written to ||p" <<<"$CHILD_LOG" | tail -n 1)
  if [ -n "$input" ]; then
    CAUSE="an input fails: it is kept in $input"
    CURE="$PROGRAM $input
shows it again; mend the verifier, and put the input into its table of hostile tokens"
  fi
}

main() {
  local seconds=60
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --seconds)
        seconds=${2:-}
        [[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--seconds wants a number from 1 to 999999, not '$seconds'"
        shift
        ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  cd "$ROOT"
  need_cargo
  have c++ || die "$EX_UNAVAILABLE" "there is no C++ compiler here (no c++ in the PATH)" "Debian: apt-get install g++"
  HOST=$(rustc -vV | sed -n 's/^host: //p')
  PROGRAM=$FOLDER/$HOST/release/token
  readonly HOST PROGRAM
  log_to fuzz
  for folder in corpus seeds failed; do own_folder "$FOLDER/$folder"; done
  step "Build the fuzzer" build
  step "Try inputs for $seconds s" try "$seconds"
  # Without them it would only guess.
  grep -q 'inline 8-bit counters' <<<"$CHILD_LOG" ||
    die "$EX_FAILED" "the program was built without counters: it cannot see where inputs lead" "read $LOG"
  say "$(sed -n 's/^stat::number_of_executed_units: *//p' <<<"$CHILD_LOG") inputs tried, none failed"
}

main "$@"
