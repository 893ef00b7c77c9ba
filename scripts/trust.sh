#!/usr/bin/env bash
# Makes this machine and its browsers trust the running stack's own CA, or stops that again.
#
# Usage: scripts/trust.sh [--remove]
#
# It puts the CA into the system's trust store (for curl and the like; that takes root, by sudo if need be) and into
# the certificate databases of Chromium and Firefox. The CA is bound to the site's names, so nothing it could ever
# sign passes for another site; one that is not bound so is refused. Running it again is safe: where a stack got
# a new CA, it replaces the old one.
#
# Variables: COMPOSE_PROJECT_NAME (roadstead), DOCKER_HOST
#
# Exit: 0 done; 64 wrong usage; 69 the stack does not run, or certutil is missing; 70 not a CA to be trusted;
#       77 no right to the system's store (the rest is done)

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/_lib.sh"

# Debian's users have no sbin in their PATH.
PATH=$PATH:/usr/sbin:/sbin

# ---- the CA

# fetch_ca FILE
fetch_ca() {
  local answer
  answer=$(docker compose exec -T nginx cat /secrets/nginx/site-ca.crt </dev/null 2>&1 >"$1") && [ -s "$1" ] ||
    die "$EX_UNAVAILABLE" "the CA is inside the stack, and $PROJECT does not run here: ${answer##*$'\n'}" "scripts/up.sh"
}

# The certificate's own words on which names it may vouch for, on one line.
constraints_of() {
  openssl x509 -in "$1" -noout -text | awk '
    /X509v3 Name Constraints: critical/ { within = 1; next }
    within && /X509v3|Signature Algorithm/ { within = 0 }
    within { sub(/^ +/, ""); printf "%s%s", separator, $0; separator = " " }'
}

check_ca() {
  local constraints
  have openssl || die "$EX_UNAVAILABLE" "openssl is missing, and without it the CA cannot be looked at" "install openssl"
  constraints=$(constraints_of "$1")
  case $constraints in
    # Without a word on addresses it could sign for any of them.
    *Permitted:*DNS:*IP:*) ;;
    *) die "$EX_FAILED" "this CA is not bound to the site's names: trusting it would let its key vouch for any site" \
      "do not; docker compose logs init tells how it was made" ;;
  esac
  say "The CA of $PROJECT can vouch for nothing but this: $constraints."
  say "Its key is in the stack's volume ${PROJECT}_init-secrets, and nowhere else."
}

# ---- the system's store

# Sets ANCHOR, the file that the system trusts, and UPDATE, the command that makes it so.
find_store() {
  local folder
  ANCHOR='' UPDATE=
  if [ "$(uname -s)" = Darwin ]; then
    ANCHOR=$HOME/.local/share/roadstead/$NAME.crt
  elif have update-ca-certificates; then
    ANCHOR=/usr/local/share/ca-certificates/$NAME.crt UPDATE=update-ca-certificates
  elif have update-ca-trust; then
    for folder in /etc/pki/ca-trust/source/anchors /etc/ca-certificates/trust-source/anchors; do
      if [ -d "$folder" ]; then ANCHOR=$folder/$NAME.crt UPDATE=update-ca-trust; fi
    done
  fi
}

# in_system WORDS COMMAND…: with the rights it takes, or else the words to type.
in_system() {
  local words=$1 answer
  shift
  if ! may_be_root; then
    report system "not done: only root may. As root:"
    say "    $words"
    RESULT=$EX_RIGHTS
  elif answer=$("$@" 2>&1); then
    report system "$DONE ($ANCHOR)"
  else
    say "$answer" >&2
    die "$EX_FAILED" "the system's trust store could not be changed" "read the lines above; by hand: $words"
  fi
}

add_to_system() {
  if [ -z "$ANCHOR" ]; then
    report system "unknown here; add the CA by hand, it comes by:"
    say "    docker compose exec -T nginx cat /secrets/nginx/site-ca.crt"
  elif cmp -s "$1" "$ANCHOR"; then
    report system "trusted already ($ANCHOR)"
  elif [ -z "$UPDATE" ]; then
    in_system "security add-trusted-cert -d -r trustRoot -k $KEYCHAIN FILE" add_to_keychain "$1"
  else
    in_system "docker compose -p $PROJECT exec -T nginx cat /secrets/nginx/site-ca.crt >$ANCHOR && $UPDATE" \
      add_anchor "$1"
  fi
}

add_anchor() { as_root install -m 0644 "$1" "$ANCHOR" && as_root "$UPDATE"; }

remove_from_system() {
  if [ -z "$ANCHOR" ] || [ ! -e "$ANCHOR" ]; then
    report system "not trusted"
  elif [ -z "$UPDATE" ]; then
    in_system "security delete-certificate -t -Z $(sha1 "$ANCHOR") $KEYCHAIN" remove_from_keychain
  else
    in_system "rm $ANCHOR && $UPDATE" remove_anchor
  fi
}

remove_anchor() { as_root rm "$ANCHOR" && as_root "$UPDATE"; }

# macOS: our copy tells later which certificate it was.
readonly KEYCHAIN=/Library/Keychains/System.keychain

sha1() { openssl x509 -in "$1" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'; }

add_to_keychain() {
  [ ! -e "$ANCHOR" ] || remove_from_keychain || return
  as_root security add-trusted-cert -d -r trustRoot -k "$KEYCHAIN" "$1" &&
    mkdir -p "${ANCHOR%/*}" && cp "$1" "$ANCHOR"
}

remove_from_keychain() { as_root security delete-certificate -t -Z "$(sha1 "$ANCHOR")" "$KEYCHAIN" && rm "$ANCHOR"; }

# ---- the browsers' databases

# Under sudo they are those of who called it, and stay that user's own.
as_owner() {
  if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ]; then sudo -H -u "$SUDO_USER" -- "$@"; else "$@"; fi
}

# Those there are. Chromium on Linux makes its own only when a person opens its settings.
databases() {
  local home folder chromium="$1/.pki/nssdb"
  home=$1
  if [ ! -d "$chromium" ] && [ ! -d "$home/.local/share/pki/nssdb" ] && [ -z "$REMOVE" ] && have certutil &&
    { have chromium || have chromium-browser || have google-chrome; }; then
    as_owner mkdir -p "$chromium"
    as_owner certutil -N --empty-password -d "sql:$chromium"
  fi
  for folder in "$chromium" "$home/.local/share/pki/nssdb" "$home"/snap/chromium/current/.pki/nssdb \
    "$home"/.mozilla/firefox/* "$home"/snap/firefox/common/.mozilla/firefox/* \
    "$home"/.var/app/org.mozilla.firefox/.mozilla/firefox/* "$home/Library/Application Support/Firefox/Profiles"/*; do
    [ ! -e "$folder/cert9.db" ] || say "$folder"
  done
}

# database COMMAND FOLDER [OPTION…]
database() {
  local command=$1 folder=$2
  shift 2
  as_owner certutil "$command" -d "sql:$folder" -n "$NICKNAME" "$@"
}

holds() { [ "$(database -L "$1" -a 2>/dev/null | tr -d '\r')" = "$(openssl x509 -in "$2")" ]; }

take_out() {
  local found=1
  while database -D "$1" 2>/dev/null; do found=0; done
  return $found
}

in_browsers() {
  local folder folders
  folders=$(databases "$(as_owner printenv HOME)")
  if [ -z "$folders" ]; then
    report browsers "no certificate database of Chromium or Firefox here"
    return
  fi
  if ! have certutil; then
    report browsers "not done: certutil is missing (Debian: apt-get install libnss3-tools, Fedora: nss-tools, macOS: brew install nss)"
    RESULT=$EX_UNAVAILABLE
    return
  fi
  while IFS= read -r folder; do
    if [ -n "$REMOVE" ]; then
      if take_out "$folder"; then report browser "$DONE ($folder)"; else report browser "not trusted ($folder)"; fi
    elif holds "$folder" "$1"; then
      report browser "trusted already ($folder)"
    else
      take_out "$folder" || true
      database -A "$folder" -t C,, -i "$1"
      report browser "$DONE ($folder); open browsers take it after a restart"
    fi
  done <<<"$folders"
}

main() {
  local ca=
  REMOVE='' RESULT=0 DONE='now trusted'
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help && exit ;;
      --remove) REMOVE=yes DONE='no longer trusted' ;;
      *) usage_error "unknown: $1" ;;
    esac
    shift
  done
  load_settings
  NAME=roadstead-$PROJECT NICKNAME="Roadstead CA of $PROJECT"
  find_store
  if [ -n "$REMOVE" ]; then
    remove_from_system
  else
    ca=$(mktemp)
    # shellcheck disable=SC2064
    trap "rm -f '$ca'" EXIT
    fetch_ca "$ca"
    # certutil may run as another user.
    chmod 0644 "$ca"
    check_ca "$ca"
    add_to_system "$ca"
  fi
  in_browsers "$ca"
  exit "$RESULT"
}

main "$@"
