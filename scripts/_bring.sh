# shellcheck shell=bash
# What up.sh and deploy.sh have in common: what they look at, how they bring engine and images, how they explain what
# failed. Sourced, after _engine.sh, _looks.sh, _images.sh and _stack.sh.

# ---- look

engine_is_ready() { [ -z "$MISSING$STOPPED" ]; }

look_compose_file() {
  local answer
  answer=$(docker compose config --quiet 2>&1) ||
    die "$EX_SETTING" "Compose does not accept docker-compose.yml with these settings: $answer" \
      "correct the setting it names, in the environment or in .env"
}

# A container of our names that Compose did not make for this project would stop the start half-way.
look_names_taken() {
  local service name project
  for service in $SERVICES; do
    name=$PROJECT-$service-1
    project=$(docker ps --all --filter "name=^/?$name\$" --format '{{.Label "com.docker.compose.project"}}.')
    case $project in
      '' | "$PROJECT.") ;;
      *)
        die "$EX_UNAVAILABLE" "there is a container $name already, and it is not this project's" \
          "docker rm --force $name
or another name for this stack: COMPOSE_PROJECT_NAME=$PROJECT-2 scripts/up.sh"
        ;;
    esac
  done
}

# In MB: a first build with its cache, or one more version of the images.
disk_needed() {
  if [ -z "$STALE" ]; then
    say 200
  elif engine_is_ready && [ -n "$(image_id app)" ]; then
    say 1500
  else
    say 4000
  fi
}

look_earlier_run() {
  local service folder
  if [ -r "$STATE/unfinished" ]; then
    report "earlier run" "did not finish, it was at: $(cat "$STATE/unfinished"); this one goes on from there"
  fi
  [ -n "$ROWS" ] || return 0
  for service in $(all_of unwell); do report "not well" "$(condition "$service")"; done
  folder=$(cut -d ' ' -f 11- <<<"$ROWS" | grep -vxF -e "$ROOT" -e "$STATE/releases" | head -n 1) || true
  [ -z "$folder" ] || warn "the stack $PROJECT was started from $folder; this run makes it that of $ROOT"
}

# ---- do

act() {
  say "$1" >"$STATE/unfinished"
  step "$@"
}

bring() {
  [ -z "$MISSING" ] || act "Install$MISSING" install_missing
  if ! engine_answers; then act "Start the engine" start_engine; fi
  if ! engine_is_ready; then
    look_engine
    engine_is_ready || die "$EX_FAILED" "still not there:$MISSING" "$(install_commands)"
    look_compose_file
    look_containers
    look_images
  fi
  have_base || act "Get the base image, $BASE_IMAGE" bring_base
  # shellcheck disable=SC2086
  [ -z "$STALE" ] || act "Build the images:$STALE" build_images $STALE
}

# What the step that failed said, in words of cause and cure, for `step`.
# shellcheck disable=SC2034
explain() {
  CAUSE="the step above failed"
  CURE="read its end above, or all of it in $LOG; then run this again: it goes on from there"
  local bundle
  bundle=$(setting CA_BUNDLE '')
  said() { grep -qiE -e "$1" <<<"$CHILD_LOG"; }
  if said "$CANNOT_MAKE_BASE"; then
    CAUSE="no registry gives $BASE_IMAGE ($(grep -iE 'error|time|denied' <<<"$1" | head -n 1)),
and $(grep "$CANNOT_MAKE_BASE" <<<"$1")"
    CURE="let the engine reach a registry (a proxy, or a mirror in /etc/docker/daemon.json);
or run this as root on a Debian 12 or 13 that reaches Debian's archive;
or bring the image from elsewhere: docker save $BASE_IMAGE | ssh THIS-HOST docker load"
  elif said "$DOCKERD_FAILED"; then
    CAUSE="$DOCKERD_FAILED; why, its own words above tell"
    CURE="mend that, try it by hand: $(start_command); then run this again"
  elif said "$NOT_WELL"; then
    look_containers
    CAUSE=$(sed -n "s/^$NOT_WELL //p" <<<"$1" | tail -n 1)
    ! is_serving || CAUSE+="; the rest goes on serving, in the earlier version where it was not replaced yet"
  elif said 'certificate (problem|verif|signed by|was not)|self.signed certificate|peer certificate|local issuer|x509: |UnknownIssuer'; then
    CAUSE="a certificate was not accepted: TLS is inspected in this network, and a build does not trust the inspector"
    CURE="give the build the network's certificates:
CA_BUNDLE=${CARGO_HTTP_CAINFO:-${SSL_CERT_FILE:-/path/to/the/network/ca.pem}} scripts/${0##*/}"
    [ -z "$bundle" ] || CURE="$bundle (CA_BUNDLE) does not hold the authority that signed it; give a file that does"
  elif said 'no space left'; then
    CAUSE="the disk is full"
    CURE="free some space (docker system df, docker builder prune), then run this again"
  elif said 'port is already allocated|address already in use'; then
    CAUSE="somebody took port $HTTP_PORT or $HTTPS_PORT meanwhile"
    CURE="run this again: it will say who"
  elif said 'could not resolve|no such host|temporary failure|network is unreachable|connection timed out|i/o timeout|failed to fetch'; then
    CAUSE="something could not be reached over the network"
    CURE="mend the network (or the proxy: HTTPS_PROXY, for the engine and for builds), then run this again"
  elif said 'signal: 9|sigkill|cannot allocate memory|exit code: 137'; then
    CAUSE="something was killed, most likely for want of memory"
    CURE="give the machine more memory or swap (2 GB in all), then run this again"
  fi
}

# ---- tell

roadstead() { docker compose exec -T "$SLOT" roadstead "$@" </dev/null 2>>"$LOG"; }

invite_first_administrator() {
  local email count link
  email=$(setting ROADSTEAD_ADMIN_EMAIL "admin@$DOMAIN")
  SLOT=app-blue
  well app-blue || SLOT=app-green
  count=$(roadstead user list --admins --count) || { say "$count" >>"$LOG" && count=; }
  [ "${count:-0}" = 0 ] || return 0
  if [ -n "$count" ] && link=$(roadstead user invite "$email" --admin); then
    say "First administrator, $email: open this link (once, within 30 minutes)"
    say "  $link"
  else
    die "$EX_FAILED" "the stack is up, but no invitation for $email could be made: $(tail -n 1 "$LOG")" \
      "docker compose exec $SLOT roadstead user invite EMAIL --admin"
  fi
}
