#!/usr/bin/env bash
# What runs: release, containers, certificate, disk, maintenance, who is at work, the last acts. On one screen.
#
# Usage: scripts/status.sh [--check]
#   --check   looks closer, too: what `roadstead check --deploy` finds, each with its cure
#
# It changes nothing. Variables: COMPOSE_PROJECT_NAME (roadstead), ROADSTEAD_DOMAIN, ROADSTEAD_HTTPS_PORT, DOCKER_HOST
#
# Exit: 0 all is well; 1 something is not, and the last lines say what to do; 64 wrong usage; 69 there is no stack

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"
source "$here/_engine.sh"
source "$here/_images.sh"
source "$here/_stack.sh"
source "$here/_release.sh"
source "$here/_lock.sh"
source "$here/_check.sh"

# Lines "what to do", of what is not well.
TROUBLES=

trouble() { TROUBLES+="  - $1"$'\n'; }

version_of() {
  local found
  found=$(awk -F '\t' -v id="$1" -v current="$(recorded current)" '$1 == "image" && $4 == id && ($2 == current || !found) { found = $2 } END { print found }' <<<"$RECORD")
  say "${found:-of no release}"
}

tell_releases() {
  report release "$(recorded current | grep . || say 'none is recorded')"
  [ -z "$(recorded previous)" ] || report previous "$(recorded previous)"
  if [ -n "$(recorded unfinished)" ]; then
    report unfinished "$(recorded unfinished) from $(recorded unfinished 3) to $(recorded unfinished 4)"
    [ -n "$HOLDER" ] || trouble "an act did not finish: scripts/deploy.sh goes on, or scripts/rollback.sh current puts back what ran"
  fi
}

tell_services() {
  local service words restarts
  for service in postgres app-blue app-green nginx; do
    if well "$service"; then
      words="healthy for $(age "$(field "$service" 10)")"
      restarts=$(field "$service" 8)
      [ "$restarts" = 0 ] || words+=", restarted $restarts times"
    else
      words=$(condition "$service")
      words=${words#"$service "}
      trouble "$service $words: docker compose logs --tail 20 $service says why, scripts/rollback.sh current heals it"
    fi
    report "$service" "$words, $(version_of "$(field "$service" 6)")"
  done
}

tell_certificate() {
  local ends days
  if ! have openssl; then
    report certificate "cannot be read: openssl is missing on this machine"
  elif ends=$(docker exec "$(field nginx 2)" cat /secrets/nginx/site.crt 2>/dev/null | openssl x509 -noout -enddate 2>/dev/null); then
    days=$((($(openssl_epoch "${ends#*=}") - $(date -u +%s)) / 86400))
    report certificate "ends in $days days"
    [ "$days" -ge 14 ] || trouble "the certificate ends in $days days: scripts/up.sh renews the site's own; your own you replace in the volume nginx-secrets"
  else
    report certificate "cannot be read"
  fi
}

# "Jan  1 12:00:00 2027 GMT"
openssl_epoch() { date -u -d "$1" +%s 2>/dev/null || date -u -j -f '%b %e %T %Y %Z' "$1" +%s; }

tell_rest() {
  local since by free
  IFS=$'\t' read -r since by < <(docker exec "$(field nginx 2)" cat /srv/site/maintenance/on 2>/dev/null) || true
  report maintenance "$(if [ -n "$since" ]; then say "on for $(age "$since"), by $by"; else say off; fi)"
  free=$(recorded free)
  report disk "${free:-?} MB free where the engine keeps its data"
  [ "${free:-9999}" -ge 1000 ] || trouble "the disk is nearly full: docker system df"
  report "at work" "${HOLDER:-nobody}"
  report backups "none are configured"
}

tell_acts() {
  say "Last acts (UTC)"
  awk -F '\t' '$1 == "act" {
    line = sprintf("  %s %-11s %s", substr($2, 1, 16), $3, $5 == "-" ? "" : $5)
    line = line " by " $6 ": " $8
    print (length(line) > 79 ? substr(line, 1, 76) "..." : line)
  }' <<<"$RECORD"
}

main() {
  local check='' answer status=0
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --check) check=yes ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  load_settings
  answer=$(within 20 docker version --format '{{.Server.Version}}' 2>&1) ||
    die "$EX_UNAVAILABLE" "the engine at $(engine_endpoint) does not answer: ${answer##*$'\n'}" "start it, or correct DOCKER_HOST"
  look_containers
  [ -n "$ROWS" ] || die "$EX_UNAVAILABLE" "there is no stack $PROJECT on this engine" "scripts/up.sh or scripts/deploy.sh brings it"
  look_releases
  HOLDER=
  look_lock || HOLDER=
  say "$PROJECT, $(site_url)"
  report engine "$(engine_endpoint)"
  tell_releases
  tell_services
  tell_certificate
  tell_rest
  tell_acts
  if [ -n "$check" ]; then
    say "roadstead check --deploy"
    check_stack --deploy || status=1
  fi
  if [ -n "$TROUBLES" ]; then
    printf 'Not well:\n%s' "$TROUBLES"
    status=1
  fi
  return "$status"
}

main "$@"
