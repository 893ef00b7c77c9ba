# shellcheck shell=bash
# The stack's containers: what runs, what of it is out of date, how it is replaced. Sourced, after _lib.sh and _images.sh.

readonly SERVICES='init postgres migrate publish app-blue app-green nginx'

# ---- containers: what runs, and is it what it should be?

# Reads the state of all containers of this project into ROWS: service, id, state, health, exit code, image, hash of
# the configuration, restarts, when it ended, when it began, folder of the compose file. And into HASHES what they should be made of.
look_containers() {
  local ids tries=0
  # One may go between the two questions.
  until
    ids=$(docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$PROJECT" \
      --filter label=com.docker.compose.oneoff=False)
    ROWS=
    # shellcheck disable=SC2086
    [ -z "$ids" ] ||
      ROWS=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.ID}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.ExitCode}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}} {{.RestartCount}} {{.State.FinishedAt}} {{.State.StartedAt}} {{index .Config.Labels "com.docker.compose.project.working_dir"}}' $ids 2>/dev/null) ||
      [ $((tries += 1)) -ge 5 ]
  do :; done
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
  # Not by Compose, which writes for a terminal.
  docker logs --tail 12 "$(field "$1" 2)" 2>&1 || true
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

# ---- bring up to date

out_of_date() { changed "$1" || unwell "$1"; }

# What a script does with a slot that is up to date now.
after_slot() { :; }

# Each part is replaced while the others serve, and before those that need it to be new.
update_running() {
  local slots='app-blue app-green' slot
  ! out_of_date init || act "Make secrets and certificates that are missing" run_init
  ! out_of_date postgres ||
    act "Replace PostgreSQL (for some seconds, what needs the database is answered 503)" replace postgres --force-recreate
  ! out_of_date migrate || act "Bring the schema up to date" replace migrate
  ! out_of_date publish || act "Put the new release's assets beside the old ones" \
    docker compose run --rm --no-deps -T publish publish
  # The one that is not well first: it is of no use to anybody, and its sibling is.
  well app-green || slots='app-green app-blue'
  for slot in $slots; do
    out_of_date "$slot" || continue
    act "Replace $slot" replace_slot "$slot"
    after_slot "$slot"
  done
  ! out_of_date publish || act "Switch to the new release's pages" replace publish
  ! out_of_date nginx || act "Replace nginx (for about a second, nobody is answered)" replace nginx
}

update() {
  look_containers
  if is_serving; then update_running; else act "Start the stack, wait until it is healthy" start_stack; fi
  look_containers
}
