# shellcheck shell=bash
# What contrast.sh and bench.sh share. Sourced, after _lib.sh and _engine.sh.

# In this script's place, so that whatever interrupts it reaches what has to clear up.
measure() { PYTHONPATH=$ROOT/deploy/contrast PYTHONDONTWRITEBYTECODE=1 exec python3 -m measure "$@"; }

need_python() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "$EX_UNAVAILABLE" "there is no python3, or one before 3.11" "install it"
}

# prepare_to_measure NAME: looks, locks, brings the engine; what is built and started is the project NAME's.
prepare_to_measure() {
  need_cargo
  need_python
  own_folder target
  exec 9>target/measure.lock
  if have flock && ! flock -n 9; then
    die "$EX_BUSY" "another measurement is at work" "wait until it is done: two at once would measure each other"
  fi
  log_to "$1"
  bring_engine
  export COMPOSE_PROJECT_NAME=$PROJECT-$1 COMPOSE_DISABLE_ENV_FILE=1 BUILDKIT_PROGRESS=plain
  trust_in_builds "$(setting CA_BUNDLE '')"
}
