#!/bin/sh
# Renders the settings into the configuration, checks it, and becomes nginx.
#
# ROADSTEAD_DOMAIN         the site's name (localhost)
# ROADSTEAD_HTTPS_PORT     the HTTPS port as clients see it (443)
# ROADSTEAD_RATE_SIGN_IN   sign-ins and invitations per address (30r/m)
# ROADSTEAD_BURST_SIGN_IN  so many at once are let through first (10)
# ROADSTEAD_RATE_REFRESH   refreshes per address (120r/m)
# ROADSTEAD_BURST_REFRESH  (60)
#
# Exit codes: 78 a setting or a file is wrong, named on stderr; else nginx's own.
set -eu

readonly SOURCE=/etc/nginx TARGET=/run/nginx SECRETS=/secrets/nginx

fail() {
  printf 'nginx: %s\n' "$*" >&2
  exit 78
}

# The first test of each is on single characters: grep reads lines, so a line break would slip through it.
check_domain() {
  case $1 in
    '' | *[!a-z0-9.-]*) return 1 ;;
    *.*[!0-9.]* | [!0-9]*) ;;
    *) return 1 ;; # an address, not a name
  esac
  [ "${#1}" -le 253 ] || return 1
  printf '%s\n' "$1" | grep -Eq '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'
}

check_number() { # value, maximum
  case $1 in
    '' | 0* | *[!0-9]* | ???????*) return 1 ;;
  esac
  [ "$1" -le "$2" ]
}

check_rate() {
  case $1 in
    *r/s | *r/m) check_number "${1%r/?}" 100000 ;;
    *) return 1 ;;
  esac
}

# Seconds until a rate allows the next request.
pause() {
  case $1 in
    *r/s) echo 1 ;;
    *) echo $(((59 + ${1%r/m}) / ${1%r/m})) ;;
  esac
}

read_settings() {
  domain=${ROADSTEAD_DOMAIN:-localhost}
  https_port=${ROADSTEAD_HTTPS_PORT:-443}
  rate_sign_in=${ROADSTEAD_RATE_SIGN_IN:-30r/m}
  burst_sign_in=${ROADSTEAD_BURST_SIGN_IN:-10}
  rate_refresh=${ROADSTEAD_RATE_REFRESH:-120r/m}
  burst_refresh=${ROADSTEAD_BURST_REFRESH:-60}

  check_domain "$domain" ||
    fail "ROADSTEAD_DOMAIN: '$domain' is not a host name. Give a lower-case name without scheme, port or final dot, such as example.org"
  check_number "$https_port" 65535 ||
    fail "ROADSTEAD_HTTPS_PORT: '$https_port' is not a port. Give a number from 1 to 65535"
  check_rate "$rate_sign_in" ||
    fail "ROADSTEAD_RATE_SIGN_IN: '$rate_sign_in' is not a rate. Give requests per minute or second, such as 30r/m or 5r/s"
  check_rate "$rate_refresh" ||
    fail "ROADSTEAD_RATE_REFRESH: '$rate_refresh' is not a rate. Give requests per minute or second, such as 120r/m or 5r/s"
  check_number "$burst_sign_in" 100000 ||
    fail "ROADSTEAD_BURST_SIGN_IN: '$burst_sign_in' is not a count. Give a number from 1 to 100000"
  check_number "$burst_refresh" 100000 ||
    fail "ROADSTEAD_BURST_REFRESH: '$burst_refresh' is not a count. Give a number from 1 to 100000"

  authority=$domain
  [ "$https_port" = 443 ] || authority=$domain:$https_port

  # What a browser remembers about localhost it holds against every other project on that machine.
  case $domain in
    localhost | *.localhost) hsts='' redirect_cache=no-store ;;
    *) hsts='max-age=63072000; includeSubDomains' redirect_cache='' ;;
  esac
}

check_files() {
  for file in site.crt site.key; do
    [ -r "$SECRETS/$file" ] ||
      fail "$SECRETS/$file is missing or not readable by uid $(id -u). The init service makes it: run it first (docker compose up init)"
  done
  for directory in "$TARGET" /tmp; do
    [ -w "$directory" ] || fail "$directory is not writable by uid $(id -u). Mount a tmpfs there with uid=$(id -u)"
  done
}

# The error page carries its style within, so that it stands when nothing else can be had; the policy lets in this one style by its hash.
style_hash() {
  sha256sum <"$SOURCE/errors/style.css" | cut -c1-64 | tr a-f A-F | basenc --base16 -d | base64
}

render() {
  mkdir -p "$TARGET/sites" "$TARGET/services" "$TARGET/snippets"
  hash=$(style_hash)
  # A kernel without IPv6 refuses the very socket.
  ipv6=
  [ -e /proc/net/if_inet6 ] || ipv6='/listen \[::\]/d'
  cd "$SOURCE"
  for file in nginx.conf sites/*.conf snippets/*.conf services/*.conf; do
    # Of none the pattern itself is left.
    [ -e "$file" ] || continue
    sed \
      -e "s|@DOMAIN@|$domain|g" \
      -e "s|@AUTHORITY@|$authority|g" \
      -e "s|@HSTS@|$hsts|g" \
      -e "s|@REDIRECT_CACHE@|$redirect_cache|g" \
      -e "s|@RATE_SIGN_IN@|$rate_sign_in|g" \
      -e "s|@BURST_SIGN_IN@|$burst_sign_in|g" \
      -e "s|@PAUSE_SIGN_IN@|$(pause "$rate_sign_in")|g" \
      -e "s|@RATE_REFRESH@|$rate_refresh|g" \
      -e "s|@BURST_REFRESH@|$burst_refresh|g" \
      -e "s|@PAUSE_REFRESH@|$(pause "$rate_refresh")|g" \
      -e "s|@STYLE_HASH@|$hash|g" \
      -e "$ipv6" \
      "$file" >"$TARGET/$file"
  done
}

main() {
  read_settings
  check_files
  render
  nginx -t -q -c "$TARGET/nginx.conf"
  exec nginx -c "$TARGET/nginx.conf"
}

main "$@"
