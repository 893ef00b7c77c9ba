#!/bin/sh
# Makes a release of the pages and assets as people write them: one folder, named by their digest.
# Usage: prepare-static.sh SOURCE TARGET    makes TARGET/<digest>/
set -eu

readonly source="$1" target="$2"

cd "$source"
digest=$(find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-16)
readonly release="$target/$digest"
mkdir -p "$release"
cp -R . "$release"
cd "$release"
chmod -R u=rwX,go=rX .

# A page names the assets of its own release, which may therefore be cached for ever.
find . -name '*.html' -exec sed -i "s|\"/static/|\"/static/$digest/|g" {} +

# Photographs and woff2 are packed already. What does not get smaller is not worth a file.
find . -type f -regextype egrep -regex '.*\.(html|css|js|json|svg|txt|xml|webmanifest|ico|ttf)' | while read -r file; do
  gzip -9 -k -n "$file"
  brotli -q 11 -k "$file"
  for packed in "$file.gz" "$file.br"; do
    [ "$(stat -c %s "$packed")" -lt "$(stat -c %s "$file")" ] || rm "$packed"
  done
done
