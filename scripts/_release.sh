# shellcheck shell=bash disable=SC2016 # (what the host shall expand is in single quotes)
# Releases: what a deploy makes, ships and keeps on the host, in a volume of its own. Sourced, after _lib.sh and _images.sh.
#
# /releases/current, previous     the version that runs, and the one before
# /releases/unfinished            "ACT FROM TO": an act that has begun to change the stack
# /releases/audit.log             a line per act: time, act, from, to, who, seconds, how it ended
# /releases/VERSION/compose.yml   settings and services, as Compose understood them
# /releases/VERSION/images        "NAME ID": app, postgres, nginx
# /releases/VERSION/site          the digest of its pages and assets
# /releases/VERSION/created
# Columns are separated by tabs; times are UTC.

# The current and the previous one stay in any case.
readonly KEEP_RELEASES=5

# ---- the host's own record

# host_sh SCRIPT [ARGUMENT…]: on the host, beside the record. (The image is on every host that has a stack.)
host_sh() { pipe_to_host "$@" </dev/null; }

pipe_to_host() {
  local script=$1
  shift
  docker run --rm --interactive --network none --no-healthcheck --read-only --user 0:0 --cap-drop ALL \
    --security-opt no-new-privileges --log-driver none --pull never --volume "${PROJECT}_releases:/releases" \
    --entrypoint sh "$PROJECT-nginx" -euc "cd /releases; $script" sh "$@"
}

# Labelled, so that scripts/down.sh --erase finds it.
make_record() {
  docker volume create --label "com.docker.compose.project=$PROJECT" "${PROJECT}_releases" >/dev/null
}

have_record() { [ -n "$(image_on_host nginx)" ] && docker volume inspect "${PROJECT}_releases" >/dev/null 2>&1; }

# Sets RECORD: lines "current VERSION", "previous VERSION", "unfinished ACT FROM TO", "release VERSION CREATED SITE",
# "image VERSION NAME ID", "free MB" (of the disk that holds the engine's volumes), and the last lines of the log, "act …".
look_releases() {
  RECORD=
  ! have_record || RECORD=$(host_sh "$LOOK")
}

readonly LOOK='
  for file in current previous unfinished; do
    [ ! -e $file ] || printf "%s\t%s\n" $file "$(cat $file)"
  done
  for file in */images; do
    [ -e "$file" ] || continue
    version=${file%/images}
    printf "release\t%s\t%s\t%s\n" "$version" "$(cat "$version/created")" "$(cat "$version/site")"
    while read -r name id; do printf "image\t%s\t%s\t%s\n" "$version" "$name" "$id"; done <"$file"
  done
  printf "free\t%s\n" "$(df -Pk . | awk "NR == 2 { print int(\$4 / 1024) }")"
  [ ! -e audit.log ] || tail -n 5 audit.log | sed "s/^/act\t/"'

# recorded WORD [COLUMN]: of the first such line of RECORD.
recorded() { awk -F '\t' -v word="$1" -v column="${2:-2}" '$1 == word { print $column; exit }' <<<"$RECORD"; }

releases() { awk -F '\t' '$1 == "release" { print $3, $2 }' <<<"$RECORD" | LC_ALL=C sort | cut -d ' ' -f 2; }

is_recorded() { releases | grep -qxF -e "$1"; }

# ---- images, here and there

# Where images are built: this machine's own engine, also where the host's is another.
on_builder() {
  case $(engine_endpoint) in
    unix:*) "$@" ;;
    *) if [ -n "${DOCKER_HOST:-}" ]; then DOCKER_HOST='' "$@"; else DOCKER_CONTEXT=default "$@"; fi ;;
  esac
}

# Engines keep images in one of two ways, and by the other an image has another id.
image_store() {
  case $(docker info --format '{{.DriverStatus}}') in *io.containerd.snapshotter*) say containerd ;; *) say "Docker's own" ;; esac
}

image_on_host() { docker image inspect --format '{{.ID}}' "$PROJECT-$1${2:+:$2}" 2>/dev/null; }

built_images() {
  local image
  for image in $IMAGES; do say "$image $(docker image inspect --format '{{.ID}}' "$PROJECT-$image")"; done
}

# The host lacks these of IMAGE_IDS.
lacking() {
  local image
  for image in $IMAGES; do
    docker image inspect "$(image_id "$image")" >/dev/null 2>&1 || say "$image"
  done
}

# ship VERSION: its images from the builder to the host, under the version's name: none of them that is there already.
ship() {
  local image missing
  for image in $IMAGES; do on_builder docker tag "$(image_id "$image")" "$PROJECT-$image:$1"; done
  missing=$(lacking)
  if [ -n "$missing" ] && [ -n "$(setting ROADSTEAD_REGISTRY '')" ]; then
    for image in $missing; do through "$(setting ROADSTEAD_REGISTRY '')" "$image" "$1"; done
  elif [ -n "$missing" ]; then
    # shellcheck disable=SC2046,SC2086
    on_builder docker save $(printf "$PROJECT-%s:$1 " $missing) | gzip -1 | docker load
  fi
  for image in $IMAGES; do docker tag "$(image_id "$image")" "$PROJECT-$image:$1"; done
}

# through REGISTRY IMAGE VERSION: pulled by the digest that the push gave, so that nobody can put another in its place.
through() {
  local name=$1/$PROJECT-$2 digest
  on_builder docker tag "$PROJECT-$2:$3" "$name:$3"
  on_builder docker push "$name:$3"
  digest=$(on_builder docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$name:$3" |
    grep -F "$name@" | head -n 1)
  docker pull "$digest"
  on_builder docker image rm "$name:$3" >/dev/null
  # By digest it has no name, and the version's tag is to come.
  [ "$(docker image inspect --format '{{.ID}}' "$digest")" = "$(image_id "$2")" ] ||
    { say "the registry gave another image for $digest" && return 1; }
}

# ---- a release

# Settings and services as Compose understands them, without what only a build needs (and may be this machine's own).
rendered() {
  docker compose --profile '*' config | awk '
    /^[^ ]/ { top = $1 }
    /^    [^ ]/ { part = $1 }
    /^  [^ ]/ { part = "" }
    top != "secrets:" && top !~ /^x-/ && !(top == "services:" && part == "build:")'
}

site_digest() {
  local container=$PROJECT-site digest
  # Of an interrupted run.
  docker rm --force "$container" >/dev/null 2>&1 || true
  docker create --name "$container" --network none "$1" >/dev/null
  digest=$(docker cp "$container:/release" - | tar -tf - | sed -n 's|^release/\([0-9a-f]*\)/$|\1|p')
  docker rm "$container" >/dev/null
  say "$digest"
}

# What the source calls itself, and eight digits of what it became: the same again is the same release.
name_version() {
  local source
  source=$(git -C "$ROOT" describe --tags --always --dirty 2>/dev/null | tr -c 'A-Za-z0-9._\n-' -) || source=
  say "${source:-source}-$({ say "$IMAGE_IDS" && rendered; } | "${SHA256[@]}" | cut -c 1-8)"
}

# record_release VERSION: all or nothing.
record_release() {
  local file=$STATE/releases/$1 site
  own_folder "$STATE/releases"
  site=$(site_digest "$PROJECT-app:$1")
  rendered >"$file.yml.new"
  say "$IMAGE_IDS" >"$file.images"
  pipe_to_host '
    rm -rf "$1.new" "$1"
    mkdir "$1.new"
    cat >"$1.new/compose.yml"
    printf "%s\n" "$2" >"$1.new/images"
    printf "%s\n" "$3" >"$1.new/site"
    date -u +%FT%TZ >"$1.new/created"
    mv "$1.new" "$1"' "$1" "$IMAGE_IDS" "$site" <"$file.yml.new"
  mv "$file.yml.new" "$file.yml"
}

# use_release VERSION: from here on Compose and we mean this one. By a copy, for a version is never another: its name tells
# its contents. (It has no build, and no .env beside it.)
use_release() {
  local file=$STATE/releases/$1
  own_folder "$STATE/releases"
  if [ ! -s "$file.yml" ]; then
    host_sh 'cat "$1/images"' "$1" >"$file.images"
    host_sh 'cat "$1/compose.yml"' "$1" >"$file.yml.new"
    mv "$file.yml.new" "$file.yml"
  fi
  IMAGE_IDS=$(cat "$file.images")
  export COMPOSE_FILE=$file.yml
}

# Containers are made from the tag `latest`.
name_images() {
  local image
  for image in $IMAGES; do docker tag "$PROJECT-$image:$1" "$PROJECT-$image" || return; done
}

# settle VERSION: it is the one that runs.
settle() {
  RECORD=$(host_sh '
    if [ ! -e current ] || [ "$(cat current)" != "$1" ]; then
      [ ! -e current ] || cp current previous
      printf "%s\n" "$1" >current.new
      mv current.new current
    fi
    rm -f unfinished
    '"$LOOK" "$1")
  prune_releases
}

# The latest stay, and whatever is in use or would be gone back to.
prune_releases() {
  local version image
  for version in $(releases | awk -v keep="$KEEP_RELEASES" '{ all[NR] = $0 } END { for (i = 1; i <= NR - keep; i++) print all[i] }'); do
    case $version in "$(recorded current)" | "$(recorded previous)" | "$(recorded unfinished 4)") continue ;; esac
    for image in $IMAGES; do docker image rm "$PROJECT-$image:$version" >/dev/null 2>&1 || true; done
    host_sh 'rm -r "$1"' "$version"
    rm -f "$STATE/releases/$version".*
  done
}
