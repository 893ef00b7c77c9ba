#!/usr/bin/env bash
# Measures the stack alone against its limits: what nginx can do by itself, and what it could do with any application.
#
# Usage: scripts/bench.sh
#
# Each number is the median of five interleaved rounds, with the smallest and largest; under 6 minutes once the images are
# built. Ratios are taken round by round, to an nginx that answers the same bytes in the application's place.
# The report: deploy/contrast/report/bench.json, and a table here.
# It starts a stack of its own apart from one that is up, with no published port, and that is gone afterwards, also after
# Ctrl-C. Keep the machine quiet meanwhile: what else runs is measured, too. So is the load client, on the same cores.
#
# Needs Rust; on Debian 12 and 13 it brings what is missing of Docker, as scripts/up.sh does.
#
# Variables: COMPOSE_PROJECT_NAME (roadstead): its own project is that with -bench behind it
#            CA_BUNDLE, where TLS is inspected: the certificates that the build shall trust
#
# Exit: 0 done, 64 wrong usage, 69 something it needs is not there, 70 a step failed, or an answer was wrong,
#       75 another run is at work, 130 or 143 interrupted
# Everything that the build says: target/log/bench.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_measure.sh"

build_load_client() { cargo build --locked --release --example load; }

# The front as it ships, and then the one with two locations more that is made of it.
build_images() {
  docker compose --file docker-compose.yml build init postgres nginx
  docker compose --file docker-compose.yml --file deploy/contrast/bench.yml build nginx
}

main() {
  case ${1:-} in
    '') ;;
    -h | --help) help && exit ;;
    *) usage_error "unknown: $1" ;;
  esac
  load_settings
  prepare_to_measure bench
  step "Build the load client" build_load_client
  step "Build the images" build_images
  trap - INT TERM
  measure bench --project "$COMPOSE_PROJECT_NAME" --programs "$ROOT/target/release"
}

main "$@"
