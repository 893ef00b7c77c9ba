#!/usr/bin/env bash
# Contrasts production with development servers, and Roadstead with what others deploy: measured side by side, and shown.
#
# Usage: scripts/contrast.sh [--quick | --full] [--only SYSTEM]… [--readme]
#        scripts/contrast.sh --compare FILE
#   --quick          64 connections, four endpoints; under 6 minutes once the images are built (the default)
#   --full           1 to 256 connections, every endpoint, Gunicorn and uWSGI also alone; under 45 minutes
#   --only SYSTEM    this one alone, or several: django-single, django-threaded, gunicorn-nginx, uwsgi-nginx,
#                    gunicorn, uwsgi, roadstead-dev, roadstead
#   --readme         writes the chart and the table of README.md anew, too
#   --compare FILE   of an earlier contrast.json: how many of its ratios the last report confirms; measures nothing
#
# It builds what it measures, starts all of it apart from a stack that is up, and lets one system run at a time, in five
# rounds, each in another order; the others are frozen. The report: deploy/contrast/report/contrast.html and .json.
# What it started is gone afterwards, also after Ctrl-C. Keep the machine quiet meanwhile: what else runs is measured, too.
#
# Needs Rust; on Debian 12 and 13 it brings what is missing of Docker, as scripts/up.sh does.
#
# Variables: COMPOSE_PROJECT_NAME (roadstead): its own project is that with -contrast behind it
#            CA_BUNDLE, where TLS is inspected: the certificates that the build shall trust
#            CONTRAST_PROFILE (release): the Cargo profile of the load client and of Roadstead dev
#
# Exit: 0 done, 1 done, but a system answered wrongly (or --compare: below 95 %), 64 wrong usage, 69 something it needs
#       is not there, 70 a step failed, 75 another run is at work, 130 or 143 interrupted
# Everything that the build says: target/log/contrast.log

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_measure.sh"

readonly SYSTEMS='django-single django-threaded gunicorn-nginx uwsgi-nginx gunicorn uwsgi roadstead-dev roadstead'

build_programs() { cargo build --locked --profile "$1" --bin roadstead --example load; }

# build_images SYSTEM…: the services that say how an image is built. PostgreSQL's also looks at processes for the others.
build_images() {
  local services=(postgres) system
  for system in "$@"; do
    case $system in
      roadstead) services+=(init nginx) ;;
      roadstead-dev) ;;
      *) services+=(peer-migrate) ;;
    esac
  done
  docker compose --file docker-compose.yml --file deploy/contrast/compose.yml --profile contrast build "${services[@]}"
}

main() {
  local options=() only=() profile folder
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --quick) ;;
      --full | --readme) options+=("$1") ;;
      --only)
        [[ " $SYSTEMS " == *" ${2:-?} "* ]] || usage_error "--only takes one of: $SYSTEMS"
        options+=("$1" "$2") only+=("$2")
        shift
        ;;
      --compare)
        [ -r "${2:-}" ] || usage_error "--compare takes a contrast.json of an earlier run; cannot read: ${2:-nothing}"
        need_python
        measure compare "$2"
        ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  [[ " ${options[*]-} " != *" --readme "* ]] || [ ${#only[@]} = 0 ] ||
    usage_error "--readme shows all systems: not with --only"
  load_settings
  prepare_to_measure contrast
  profile=${CONTRAST_PROFILE:-release} folder=${CONTRAST_PROFILE:-release}
  [ "$profile" != dev ] || folder=debug
  step "Build the load client and the development server" build_programs "$profile"
  [ ${#only[@]} -gt 0 ] || read -ra only <<<"$SYSTEMS"
  step "Build the images" build_images "${only[@]}"
  trap - INT TERM
  measure contrast --project "$COMPOSE_PROJECT_NAME" --programs "$ROOT/target/$folder" ${options[@]+"${options[@]}"}
}

main "$@"
