# shellcheck shell=bash
# What up.sh looks at before it changes anything, besides Docker itself. Sourced, after _lib.sh and _engine.sh.

# ---- settings

bad_setting() { die "$EX_SETTING" "$1 is '$2': $3" "$4"$'\n'"(it is set in ${5:-$(where_set "$1")})"; }

look_settings() {
  look_names
  look_port ROADSTEAD_HTTP_PORT "$HTTP_PORT" 8080
  look_port ROADSTEAD_HTTPS_PORT "$HTTPS_PORT" 8443
  [ "$HTTP_PORT" -ne "$HTTPS_PORT" ] ||
    bad_setting ROADSTEAD_HTTPS_PORT "$HTTPS_PORT" "the same port as ROADSTEAD_HTTP_PORT" "give them different ports"
  look_domain_syntax
  [[ $PROJECT =~ ^[a-z0-9][a-z0-9_-]*$ ]] ||
    bad_setting COMPOSE_PROJECT_NAME "$PROJECT" "not a project name" "use small letters, digits, - and _" "$PROJECT_PLACE"
  look_ca_bundle
  report settings "$(site_url)  (http on port $HTTP_PORT, project $PROJECT)"
}

# A misspelt name would have no effect at all. Those that have one stand in the compose file, or here.
look_names() {
  local name known
  known=" ROADSTEAD_ADMIN_EMAIL ROADSTEAD_REGISTRY ROADSTEAD_WATCH_SECONDS ROADSTEAD_WATCH_ERRORS ROADSTEAD_WATCH_SLOWER $(grep -oE '[{]ROADSTEAD_[A-Z0-9_]+' docker-compose.yml | cut -c 2- | sort -u | tr '\n' ' ')"
  for name in $({
    compgen -e ROADSTEAD_ || true
    ! env_file_counts || sed -nE 's/^[[:space:]]*(export[[:space:]]+)?(ROADSTEAD_[A-Za-z0-9_]*)[[:space:]]*=.*/\2/p' "$ROOT/.env"
  } | sort -u); do
    case $known in
      *" $name "*) ;;
      *)
        die "$EX_SETTING" "$name (in $(where_set "$name")) is no setting of this stack" \
          "correct its name, or take it away. There are:"$'\n'"$(tr ' ' '\n' <<<"$known" | grep .)"
        ;;
    esac
  done
}

look_port() {
  if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || [ "$((10#$2))" -lt 1 ] || [ "$((10#$2))" -gt 65535 ]; then
    bad_setting "$1" "$2" "not a port" "use a number from 1 to 65535, for instance $1=$3"
  fi
}

look_domain_syntax() {
  local problem='' label='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
  if [[ $DOMAIN =~ ^[0-9.]+$|^\[|:.*: ]]; then
    problem="an address"
  elif [[ $DOMAIN == *[:/]* ]]; then
    problem="more than a name"
  elif ! [[ $DOMAIN =~ ^($label\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || [ ${#DOMAIN} -gt 253 ]; then
    problem="not a host name"
  fi
  [ -z "$problem" ] || bad_setting ROADSTEAD_DOMAIN "$DOMAIN" "$problem" \
    "use a host name in small letters, without https:// and port, for instance ROADSTEAD_DOMAIN=www.example.org
(the port is ROADSTEAD_HTTPS_PORT; a name beyond ASCII in its xn-- form)"
}

look_ca_bundle() {
  local bundle name
  bundle=$(setting CA_BUNDLE '')
  if [ -n "$bundle" ]; then
    [ -s "$bundle" ] && [ -r "$bundle" ] ||
      bad_setting CA_BUNDLE "$bundle" "not a readable file with certificates" "give the path of a PEM file"
    return
  fi
  for name in CARGO_HTTP_CAINFO SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE; do
    [ -n "${!name:-}" ] || continue
    report certificates "$name is set: if TLS is inspected in this network, the build needs CA_BUNDLE=${!name}"
    return
  done
}

look_domain() {
  case $DOMAIN in localhost | *.localhost) return ;; esac
  [ -z "$UNRESOLVED" ] || return 0
  resolves "$DOMAIN" || die "$EX_SETTING" "$DOMAIN does not resolve: no browser would find this stack" \
    "set its A or AAAA record to this server's address;
or, for a trial on this machine: echo '127.0.0.1 $DOMAIN' | sudo tee -a /etc/hosts
or, to go on without: scripts/up.sh --unresolved"
}

resolves() {
  if have getent; then within 20 getent ahosts "$1"; else ping -c 1 -t 5 "$1"; fi >/dev/null 2>&1
}

# ---- the machine

# Free space where the engine keeps its data, if that is on this machine.
look_disk() {
  local folder=/var/lib need=$1 free
  engine_is_ours || return 0
  folder=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) && [ -d "$folder" ] || folder=/var/lib
  free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
  report disk "$free MB free in $folder, $need MB needed"
  [ "$free" -ge "$need" ] || die "$EX_UNAVAILABLE" "too little disk: $free MB free in $folder, and this needs $need MB" \
    "free some: docker system df shows what Docker itself holds, docker builder prune empties its build cache"
}

look_memory() {
  local total
  [ -r /proc/meminfo ] && engine_is_ours || return 0
  total=$(awk '/^(MemTotal|SwapTotal):/ { kb += $2 } END { print int(kb / 1024) }' /proc/meminfo)
  report memory "$total MB"
  [ "$total" -ge 2000 ] || warn "the build wants 2000 MB of memory and swap; if it is killed, add swap"
}

# ---- ports

look_ports() {
  look_listener ROADSTEAD_HTTP_PORT "$HTTP_PORT" 8080
  look_listener ROADSTEAD_HTTPS_PORT "$HTTPS_PORT" 8443
}

look_listener() {
  local holder
  holder=$(container_on_port "$2")
  case $holder in
    "") holder=$(process_on_port "$2") ;;
    "$PROJECT "*) report "port $2" "held by this stack's own ${holder#* }" && return ;;
    *) holder="the container ${holder#* }" ;;
  esac
  if [ -z "$holder" ]; then
    report "port $2" free
    return
  fi
  die "$EX_UNAVAILABLE" "port $2 is taken, by $holder" \
    "stop that, or take another port: $1=$(free_port "$3") scripts/up.sh
(to keep it, put that setting into .env)"
}

# "PROJECT NAME" of the running container that publishes the port; a dash for no project.
container_on_port() {
  [ -z "$MISSING$STOPPED" ] || return 0
  docker ps --filter "publish=$1" --format '{{or (.Label "com.docker.compose.project") "-"}} {{.Names}}' | head -n 1
}

# Only root sees other people's processes.
process_on_port() {
  engine_is_ours || return 0
  local line
  if have ss; then
    line=$(ss -H -ltnp "sport = :$1" | head -n 1)
    case $line in
      '') ;;
      *users:*) sed -E 's/.*users:\(\("([^"]*)",pid=([0-9]+).*/\1 (process \2)/' <<<"$line" ;;
      *) say "another user's process (sudo ss -ltnp 'sport = :$1' names it)" ;;
    esac
  elif have lsof; then
    lsof -nP -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1 " (process " $2 ")" }'
  elif (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    say "some process"
  fi
}

# The first port from this one on that nobody holds.
free_port() {
  local port=$1
  while [ -n "$(container_on_port "$port")$(process_on_port "$port")" ]; do port=$((port + 1)); done
  say "$port"
}
