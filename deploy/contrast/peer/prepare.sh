#!/bin/sh
# Makes what the peers share and is not there yet: the secret key, nginx's certificate, the tables, the account.
# Usage: prepare.sh    with CONTRAST_PASSWORD
set -eu
umask 077
cd /run/peer

if [ ! -e secret_key ]; then
  (cd /app && python3 -c 'from django.core.management.utils import get_random_secret_key as key; print(key(), end="")') >secret_key.new
  mv secret_key.new secret_key
fi

# Its own authority, and none for others: who trusts this one certificate trusts no other.
if [ ! -e site.crt ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout site.key -out site.crt.new 2>/dev/null
  mv site.crt.new site.crt
fi

cd /app
python3 manage.py migrate --no-input --verbosity 0
python3 manage.py account
