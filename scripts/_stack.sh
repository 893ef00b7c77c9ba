# shellcheck shell=bash
# The stack's images and containers: what runs, what of it is out of date, how it is replaced. Sourced, after _lib.sh.

readonly IMAGES='app postgres nginx'
readonly SERVICES='init postgres migrate publish app-blue app-green nginx'

SHA256=(sha256sum)
have sha256sum || SHA256=(shasum -a 256)
readonly SHA256

image_id() { docker image inspect --format '{{.ID}}' "$PROJECT-$1" 2>/dev/null; }

# ---- images: is a build needed?

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

# ---- containers: what runs, and is it what it should be?

# Reads the state of all containers of this project into ROWS: service, id, state, health, exit code, image, hash of
# the configuration, restarts, when it ended, folder of the compose file. And into HASHES and IDS what they should be made of.
look_containers() {
  local ids
  ids=$(docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$PROJECT" \
    --filter label=com.docker.compose.oneoff=False)
  ROWS=
  # shellcheck disable=SC2086
  [ -z "$ids" ] || ROWS=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.ID}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.ExitCode}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}} {{.RestartCount}} {{.State.FinishedAt}} {{index .Config.Labels "com.docker.compose.project.working_dir"}}' $ids)
  HASHES=$(docker compose config --hash '*')
}

# field SERVICE N: of ROWS; empty when there is no container.
field() { awk -v service="$1" -v n="$2" '$1 == service { print $n; exit }' <<<"$ROWS"; }

is_one_shot() { case $1 in init | migrate | publish) ;; *) return 1 ;; esac }

image_of() { case $1 in postgres | nginx) say "$1" ;; *) say app ;; esac }

# init renews certificates, and nobody else runs it on a healthy stack.
is_long_ago() {
  local month
  month=$(date -u -d '-30 days' +%FT%T 2>/dev/null || date -u -v-30d +%FT%T)
  [[ $(field init 9) < $month ]]
}

# Is there no container, or is it of another image or another configuration?
changed() {
  if [ "$1" = init ] && is_long_ago; then return 0; fi
  [ "$(field "$1" 6)" != "$(image_id "$(image_of "$1")")" ] ||
    [ "$(field "$1" 7)" != "$(awk -v service="$1" '$1 == service { print $2 }' <<<"$HASHES")" ]
}

# Does it do what it is for? A one-shot has ended well; a service runs, and is healthy if it can say so.
well() {
  case $1-$(field "$1" 3)-$(field "$1" 4)-$(field "$1" 5) in
    init-exited-*-0 | migrate-exited-*-0 | publish-exited-*-0) ;;
    *-running-healthy-* | *-running---*) ! is_one_shot "$1" ;;
    *) return 1 ;;
  esac
}

# all_of TEST: the services for which it holds.
all_of() {
  local service
  for service in $SERVICES; do if "$@" "$service"; then say "$service"; fi; done
}

unwell() { ! well "$1"; }

# "app-green is unhealthy", "migrate has ended with 1", …
condition() {
  case $(field "$1" 3) in
    '') say "$1 is not there" ;;
    exited | dead) say "$1 has ended with $(field "$1" 5)" ;;
    running) say "$1 is $(field "$1" 4)" ;;
    *) say "$1 is $(field "$1" 3)" ;;
  esac
}

# Somebody is served: then it is replaced part by part, and not all at once.
is_serving() { well nginx && { well app-blue || well app-green; }; }

# ---- containers: replace and wait

readonly NOT_WELL='not well:'

# wait_well SERVICE [SECONDS]: until it is, or has failed; and then with the end of what it wrote.
wait_well() {
  local seconds=${2:-120} why
  local until=$((SECONDS + seconds))
  until look_containers && well "$1"; do
    why=$(condition "$1")
    case $(field "$1" 3)-$(field "$1" 4)-$(field "$1" 8) in
      -* | exited-* | dead-* | *-unhealthy-* | restarting-*-[3-9] | restarting-*-??*) ;;
      *)
        if [ $SECONDS -lt $until ]; then
          sleep 0.5
          continue
        fi
        why+=", and that after $seconds s"
        ;;
    esac
    tell_log "$1"
    say "$NOT_WELL $why"
    return 1
  done
}

tell_log() {
  say "The end of what $1 wrote:"
  docker compose logs --no-color --no-log-prefix --tail 12 "$1"
  docker inspect --format '{{if .State.Health}}{{range .State.Health.Log}}health check: {{.Output}}{{end}}{{end}}' \
    "$(field "$1" 2)" 2>/dev/null | tail -n 2
}

# Everything at once, each as soon as what it depends on is there.
start_stack() {
  local service
  if ! docker compose up --detach; then
    look_containers
    for service in $SERVICES; do
      case $(field "$service" 3)-$(field "$service" 4)-$(field "$service" 5) in
        exited-*-0) ;;
        exited-* | dead-* | restarting-* | *-unhealthy-*) tell_log "$service" && say "$NOT_WELL $(condition "$service")" ;;
      esac
    done
    return 1
  fi
  for service in $SERVICES; do wait_well "$service"; done
}

# replace SERVICE [OPTION…]: this one alone. Not by `up --no-deps`: Compose before 2.30 counts what a service depends on
# into the hash of its configuration, and the next plain `up` would replace everything once more, all at once.
replace() {
  local service=$1
  shift
  docker compose create --no-build "$@" "$service"
  look_containers
  docker start "$(field "$service" 2)"
  wait_well "$service"
}

# Never stopped while its sibling is not ready. One that is only starting gets its time first.
replace_slot() {
  local sibling=app-blue
  [ "$1" != app-blue ] || sibling=app-green
  look_containers
  if well "$1"; then
    wait_well "$sibling" 60
  elif ! changed "$1" && wait_well "$1" 60; then
    return
  fi
  replace "$1" --force-recreate
}

certificate_of() { docker compose exec -T "$1" cat "$2" </dev/null 2>/dev/null | "${SHA256[@]}"; }

# What `init` makes anew, those who have it open must read anew; neither loses a request by it.
run_init() {
  local site internal
  site=$(certificate_of nginx /secrets/nginx/site.crt)
  internal=$(certificate_of postgres /secrets/postgres/server.crt)
  replace init
  [ "$site" = "$(certificate_of nginx /secrets/nginx/site.crt)" ] || docker compose kill --signal HUP nginx
  [ "$internal" = "$(certificate_of postgres /secrets/postgres/server.crt)" ] ||
    docker compose exec -T postgres roadstead-postgres renew </dev/null
}
