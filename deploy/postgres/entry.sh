#!/bin/sh
# Starts PostgreSQL: makes the cluster at the first start, keeps the two roles' passwords in step with their files.
# Usage: roadstead-postgres [serve | renew]    renew: take over a new certificate without a restart
set -eu

readonly volume=/var/lib/postgresql
readonly major_directory="$volume/$POSTGRES_MAJOR"
readonly data="$major_directory/data"
readonly run=/run/postgresql
readonly secrets=/secrets/postgres
readonly config=/etc/roadstead

say() { echo "roadstead-postgres: $*" >&2; }

# die PROBLEM CURE
die() {
  say "error: $1"
  say "cure: $2"
  exit 1
}

check_secrets() {
  for name in server.crt server.key owner_password app_password; do
    [ -r "$secrets/$name" ] && [ -s "$secrets/$name" ] && continue
    state="is missing"
    [ ! -e "$secrets/$name" ] || state="is empty, or not readable for uid $(id -u)"
    die "$secrets/$name $state" "the service init makes it: docker compose up init"
  done
}

# Two servers on one data directory destroy it. PostgreSQL's own guard compares process ids, which say nothing
# between two containers. The lock lives as long as any process of this one, however it ends.
lock_volume() {
  [ -w "$volume" ] || die "$volume is not writable for uid $(id -u)" "give the volume's root to 10003:10003"
  exec 9>"$volume/.lock"
  flock -n 9 || die "another container is running on this volume" "stop it first: docker ps"
}

refuse_other_major() {
  [ ! -e "$data" ] || return 0
  for version_file in "$volume"/*/data/PG_VERSION; do
    [ -e "$version_file" ] || continue
    other=$(cat "$version_file")
    die "the volume holds the data of PostgreSQL $other, this image is $POSTGRES_MAJOR and would start empty" \
      "run the image of PostgreSQL $other, dump (pg_dumpall), and load the dump into a new volume"
  done
}

install_certificate() {
  # PostgreSQL accepts a key only when it is its own, and init's files belong to init.
  install -m 0600 "$secrets/server.key" "$secrets/server.crt" "$run/"
}

# The container's memory in MB: the smallest of the machine's, cgroup v2's and v1's limit.
memory() {
  megabytes=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [ -r "$file" ] || continue
    limit=$(cat "$file")
    [ "$limit" != max ] || continue
    [ $((limit / 1048576)) -ge "$megabytes" ] || megabytes=$((limit / 1048576))
  done
  echo "$megabytes"
}

clamp() { echo $(($1 < $2 ? $2 : $1 > $3 ? $3 : $1)); }

write_memory_settings() {
  total=$(memory)
  # work_mem is per sort, and a query may have several: 1/128 keeps 32 busy ones within a quarter.
  # Three autovacuum workers may use maintenance_work_mem at once.
  cat >"$run/memory.conf" <<CONF
shared_buffers = '$((total / 4))MB'
effective_cache_size = '$((total * 3 / 4))MB'
work_mem = '$(clamp $((total / 128)) 1 64)MB'
maintenance_work_mem = '$(clamp $((total / 16)) 16 1024)MB'
CONF
}

# single DIRECTORY DATABASE: runs SQL from stdin in a server that listens nowhere, so that nobody can take a
# half-made one for ready, and nothing shows in ps. Its output is a prompt; errors come on stderr and end it.
single() {
  postgres --single -j -D "$1" -c config_file=$config/postgresql.conf -c exit_on_error=on -c log_checkpoints=off "$2" >/dev/null
}

set_passwords() {
  for role in owner app; do
    # Each ' doubled, as SQL wants it; printf is the shell's own and shows in no process list.
    password=$(sed "s/'/''/g" "$secrets/${role}_password")
    printf "ALTER ROLE roadstead_%s PASSWORD '%s';\n\n" "$role" "$password"
  done | single "$1" postgres
}

# Beside, then renamed: a first start that was interrupted leaves nothing that looks like a cluster.
make_cluster() {
  new=$major_directory/data.new
  say "making a new cluster in $data"
  rm -rf "$new"
  mkdir -p "$major_directory"
  # The built-in C.UTF-8 is PostgreSQL's own: indexes on text survive a new libc.
  initdb --pgdata="$new" --username=postgres --auth=reject --no-instructions --data-checksums --encoding=UTF8 \
    --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 --set huge_pages=off >/dev/null
  # Nobody shall edit these: the image's rule.
  rm "$new/postgresql.conf" "$new/pg_hba.conf"
  single "$new" postgres <$config/cluster.sql
  single "$new" roadstead <$config/database.sql
  set_passwords "$new"
  mv "$new" "$data"
  # After a power cut the cluster must not have its old name again: the next start would remove it.
  sync "$major_directory"
}

serve() {
  lock_volume
  refuse_other_major
  write_memory_settings
  if [ ! -e "$data" ]; then
    make_cluster
  # At each start: a restored cluster brings the passwords of its day. Not in the middle of a
  # recovery to a point in time, which only the real server can carry through.
  elif [ ! -e "$data/recovery.signal" ] && [ ! -e "$data/standby.signal" ]; then
    set_passwords "$data"
  fi
  exec postgres -D "$data" -c config_file=$config/postgresql.conf
}

main() {
  check_secrets
  install_certificate
  case ${1:-serve} in
    serve) serve ;;
    renew) pg_ctl reload -D "$data" ;;
    *) die "unknown command: $1" "use serve or renew" ;;
  esac
}

main "$@"
