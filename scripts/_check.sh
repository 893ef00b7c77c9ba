# shellcheck shell=bash
# `roadstead check` in its container, with the facts that it cannot see from there. Sourced, after _lib.sh, _stack.sh and
# _release.sh.

# Sections of text, as app/src/commands/check/facts.rs reads them.
gather_facts() {
  look_containers
  printf '\n== containers\n'
  # shellcheck disable=SC2046
  docker inspect $(awk '{ print $2 }' <<<"$ROWS") || true
  printf '\n== nginx\n'
  docker exec "$(field nginx 2)" nginx -T -c /run/nginx/nginx.conf || true
  gather_common ''
}

# What the site's name leads to over IPv6: an address, `none`, or `?` where this machine cannot tell.
ipv6_of() {
  have getent || { say '?' && return; }
  # The others are IPv4 addresses in IPv6's clothes.
  within 20 getent ahostsv6 "$1" | awk '!/^::ffff:/ { found = $1 } END { print found ? found : "none" }'
}

# gather_common TAG: of the images.
gather_common() {
  printf '\n== images\n'
  # shellcheck disable=SC2046,SC2086
  docker image inspect $(printf "$PROJECT-%s$1 " $IMAGES) || true
  printf '\n== engine\n'
  docker info --format '{{json .}}' || true
  printf '\n== ipv6\n%s\n' "$(ipv6_of "$DOMAIN")"
  printf '\n== disk\n%s\n' "$(recorded free)"
  printf '\n== clock\n%s\n' "$(date -u +%s)"
}

# check_with FACTS OPTION…: with what COMPOSE_FILE and the environment say. (The facts come first: while this runs, nothing else may
# ask Compose, or there are two networks of one name.)
check_with() {
  local facts=$1
  shift
  docker compose --profile check run --rm --no-deps -T check check --facts - "$@" <<<"$facts"
}

check_stack() { check_with "$(gather_facts 2>/dev/null)" "$@"; }
