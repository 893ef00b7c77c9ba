# shellcheck shell=bash
# The stack's images: is a build needed, and the build. Sourced, after _lib.sh and _engine.sh.

readonly IMAGES='app postgres nginx'

SHA256=(sha256sum)
have sha256sum || SHA256=(shasum -a 256)
readonly SHA256

# Lines "NAME ID" of images that are going to be the stack's; empty: those it has.
IMAGE_IDS=

image_id() {
  if [ -n "$IMAGE_IDS" ]; then
    awk -v name="$1" '$1 == name { print $2 }' <<<"$IMAGE_IDS"
  else
    docker image inspect --format '{{.ID}}' "$PROJECT-$1" 2>/dev/null
  fi
}

# What a build may read, or more than that: a wider net only means a build that finds everything in its cache.
build_inputs() {
  case $1 in
    postgres) say deploy/postgres ;;
    nginx) say nginx ;;
    app)
      say .dockerignore
      say app/Dockerfile
      # Of an allow-list ("*", then "!what") the folders; for anything else, everything.
      if grep -v '^#' .dockerignore 2>/dev/null | head -n 1 | grep -qxF -e '*' -e '**'; then
        sed -n 's/^!\/*//p' .dockerignore | sed 's/[^/]*[*?[].*//; s/\/*$//; s/^$/./'
      else
        say .
      fi
      ;;
  esac
}

# One number for all that an image is made of: names, contents, who is executable, the base image, what the compose
# file says of builds; and for the engine that has it.
fingerprint() {
  local path file files=()
  while IFS= read -r path; do
    while IFS= read -r -d '' file; do files+=("$file"); done < <(
      find "$path" \( -name .git -o -name target -o -name __pycache__ \) -prune -o ! -type d -print0 2>/dev/null
    )
  done < <(build_inputs "$1")
  {
    {
      for file in "${files[@]}"; do
        [ ! -x "$file" ] || say "executable $file"
        [ ! -L "$file" ] || say "link $file $(readlink "$file")"
      done
      printf '%s\0' "${files[@]}" | xargs -0 "${SHA256[@]}"
    } 2>&1 | LC_ALL=C sort
    docker image inspect --format '{{.ID}}' "$BASE_IMAGE"
    docker info --format '{{.ID}}'
    docker compose config | awk '/^[^ ]/ || /^  [^ ]/ || /^    [^ ]/ { build = /^    build:/ } build'
  } | "${SHA256[@]}"
}

# The images whose inputs changed since they were built from here, or that somebody else built since.
look_images() {
  local image
  STALE=
  for image in $IMAGES; do
    if ! have_base || [ "$(cat "$STATE/$image" 2>/dev/null)" != "$(fingerprint "$image") $(image_id "$image")" ]; then
      STALE+=" $image"
    fi
  done
}

# The fingerprint comes first: a file that changes during the build means another build next time.
build_images() {
  local image i=0 services=() prints=() bundle
  bundle=$(setting CA_BUNDLE '')
  export CA_BUNDLE=$bundle BUILDKIT_PROGRESS=plain
  for image in "$@"; do
    prints+=("$(fingerprint "$image")")
    # `init` is the service that says how the app's image is built.
    if [ "$image" = app ]; then services+=(init); else services+=("$image"); fi
  done
  docker compose build "${services[@]}"
  for image in "$@"; do
    say "${prints[i]} $(image_id "$image")" >"$STATE/$image"
    i=$((i + 1))
  done
}
