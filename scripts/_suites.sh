# shellcheck shell=bash
# The suites of tests, and what they need. Shared by test.sh and check.sh; sourced, after _lib.sh and _engine.sh.

readonly PYTHON=target/venv/bin/python
PASSED=0 FAILED=0
TABLE=

# A person's own settings and stack are none of the tests' business.
set_own_settings() {
  # shellcheck disable=SC2046
  unset $(compgen -e | grep -E '^(ROADSTEAD|COMPOSE)_' || true)
  # What tests build and start is called so; the number says whose it is.
  export TEST_PROJECT=roadstead-test-$$ COMPOSE_PROJECT_NAME=roadstead-test-$$ PYTHONDONTWRITEBYTECODE=1
  trust_in_builds "${CA_BUNDLE:-}"
  # So that an interruption lets pytest and PostgreSQL clear up: they do on INT.
  STOP_SIGNAL=INT
}

# ---- what they need

# needed COMMAND PACKAGE: adds the package to PACKAGES if the command is not there.
needed() { have "$1" || PACKAGES+=" $2"; }

look_tools() {
  PACKAGES=
  need_cargo
  needed cc gcc
  needed openssl openssl
  needed shfmt shfmt
  # --help does not tell whether the parts of it that Debian packages apart are there.
  python3 -c 'import venv, ensurepip' 2>/dev/null || PACKAGES+=" python3-venv"
  have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || PACKAGES+=" postgresql"
  case "${TEST_FULL:+$* }" in *"rust "*) needed c++ g++ ;; esac
  case " $* " in
    *" stack "* | *" browser "*)
      needed chromium chromium
      needed certutil libnss3-tools
      needed ss iproute2
      needed strip binutils
      needed ssh openssh-client
      ;;
  esac
}

bring_tools() {
  look_tools "$@"
  if [ -n "$PACKAGES" ]; then
    case $(system_name) in debian-*) ;; *) die "$EX_UNAVAILABLE" "missing:$PACKAGES (as Debian calls them)" "install them" ;; esac
    may_be_root || die "$EX_RIGHTS" "missing:$PACKAGES" "as root: apt-get install$PACKAGES"
    step "Install$PACKAGES" install_packages
  fi
  if ! "$PYTHON" -c '' 2>/dev/null || ! cmp -s app/tests/requirements.txt target/venv/requirements.txt; then
    step "Make target/venv" make_venv
  fi
}

install_packages() {
  local alone=/etc/postgresql-common/createcluster.d/roadstead.conf status=0
  as_root apt-get update
  # The tests make their own clusters; without this, Debian would make and start one for good.
  as_root mkdir -p "${alone%/*}"
  as_root sh -c "echo 'create_main_cluster = false' >$alone"
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $PACKAGES || status=$?
  as_root rm "$alone"
  return $status
}

make_venv() {
  python3 -m venv --clear target/venv
  "$PYTHON" -m pip install --quiet --disable-pip-version-check -r app/tests/requirements.txt
  cp app/tests/requirements.txt target/venv/requirements.txt
}

# ---- running and counting

count() {
  PASSED=$((PASSED + $1)) FAILED=$((FAILED + $2))
}

# one WORDS COMMAND…: a command that is one test. What it says is shown if it fails.
one() {
  logged "$@"
  if [ "$STATUS" = 0 ]; then
    count 1 0
  else
    show_failure
    count 0 1
  fi
}

show_failure() { printf '%s\n' "$CHILD_LOG" | sed 's/^/    | /'; }

# suite NAME: runs it, and writes its line of the closing table.
suite() {
  local began=$SECONDS passed=$PASSED failed=$FAILED
  say "$1"
  "suite_$1"
  TABLE+=$(printf '%-8s %4d s  %d passed, %d failed' "$1" $((SECONDS - began)) $((PASSED - passed)) $((FAILED - failed)))$'\n'
}

# The very last line is what others read. Returns whether all is well.
closing() {
  clear_up
  printf '\n%s\n%d passed, %d failed\n' "$TABLE" "$PASSED" "$FAILED"
  [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}

# ---- lint: each linter is one test

shell_scripts() { find . \( -name target -o -name .git \) -prune -o \( -name '*.sh' -o -path ./.ci/run \) -print; }

dockerfiles() { find . \( -name target -o -name .git \) -prune -o -name 'Dockerfile*' ! -name '*.dockerignore' -print; }

suite_lint() {
  one "rustfmt" lint_format
  one "clippy" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
  one "shellcheck" lint_scripts
  # shellcheck disable=SC2046
  one "shfmt" shfmt -i 2 -ci -d $(shell_scripts)
  # shellcheck disable=SC2046
  one "hadolint" target/venv/bin/hadolint $(dockerfiles)
  one "docker compose config" lint_compose
  one "squawk" lint_migrations app/migrations
}

# app/fuzz is a workspace of its own.
lint_format() {
  cargo fmt --all --check
  cargo fmt --manifest-path app/fuzz/Cargo.toml --check
}

# lint_migrations FOLDER: what would lock or destroy is refused; the second may be in a step that is marked for it.
lint_migrations() {
  local file options status=0
  # The runner gives up a step that waits for a lock, and repeats it; 32 bits are a choice; IF NOT EXISTS would keep a broken index.
  local excluded=require-lock-timeout,require-statement-timeout,prefer-bigint-over-int,prefer-robust-stmts
  local contract=renaming-column,renaming-object,renaming-table,changing-column-type kind
  for kind in column constraint default domain function generated-expression not-null sequence table type view; do
    contract+=,ban-drop-$kind
  done
  for file in "$1"/*.sql; do
    options=(--pg-version 17 --exclude "$excluded")
    if grep -q '^-- roadstead: contract' "$file"; then options[3]+=,$contract; fi
    if [ "$(head -n 1 "$file")" != '-- roadstead: no-transaction' ]; then options+=(--assume-in-transaction); fi
    target/venv/bin/squawk "${options[@]}" "$file" || status=1
  done
  [ "$status" = 0 ] || say "How to change a schema that is in use, and how to mark a step: app/migrations/README.md"
  return $status
}

lint_compose() {
  local more
  docker compose --env-file /dev/null --profile '*' config --quiet
  for more in deploy/contrast/*.yml; do
    docker compose --env-file /dev/null --file docker-compose.yml --file "$more" --profile '*' config --quiet
  done
}

# What is sourced is looked at where it is sourced.
lint_scripts() {
  # shellcheck disable=SC2046
  target/venv/bin/shellcheck --check-sourced $(shell_scripts | grep -v '/_[a-z]*\.sh$')
}

# ---- nginx's configuration, in its image, with all that its entry script does but starting it

suite_nginx() { one "nginx -t" test_nginx_configuration; }

test_nginx_configuration() {
  local image=$TEST_PROJECT-nginx folder status=0
  folder=$(mktemp -d)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$folder/key" -out "$folder/crt"
  docker build --quiet --tag "$image" nginx
  CRT=$(cat "$folder/crt") KEY=$(cat "$folder/key") docker run --rm --network none --read-only --env CRT --env KEY \
    --tmpfs /run/nginx:uid=10002 --tmpfs /tmp:uid=10002 --tmpfs /secrets/nginx:uid=10002 --entrypoint sh "$image" -ec '
      echo "$CRT" >/secrets/nginx/site.crt
      echo "$KEY" >/secrets/nginx/site.key
      sed "/exec nginx/d" /entry.sh | sh' || status=$?
  rm -r "$folder"
  return $status
}

# ---- rust, stack, browser

suite_rust() {
  logged "cargo test" cargo test --locked --workspace --no-fail-fast
  tally "$(sum '^test result: .* ([0-9]+) passed;')" "$(sum '^test result: .* ([0-9]+) failed;')"
  if [ -n "${TEST_FULL:-}" ]; then one "fuzz" scripts/fuzz.sh; fi
}

# Both in one run: they share the stack that they start.
suite_stack() { run_pytest app/tests; }

suite_browser() { run_pytest app/tests/browser; }

run_pytest() {
  logged "the load client, and a faulty release" cargo build --quiet --locked --example load --example faulty
  [ "$STATUS" = 0 ] || tally 0 0
  logged "pytest $1" "$PYTHON" -m pytest -p no:cacheprovider --color=no --durations=10 "$1"
  tally "$(sum '^=.*[ =]([0-9]+) passed')" "$(($(sum '^=.*[ =]([0-9]+) failed') + $(sum '^=.*[ =]([0-9]+) error')))"
}

# sum PATTERN: of all the numbers that it finds in what the last command said.
sum() { sed -nE "s/$1.*/\1/p" <<<"$CHILD_LOG" | awk '{ n += $1 } END { print n + 0 }'; }

# tally PASSED FAILED: a runner that failed before it had counted anything failed once.
tally() {
  local failed=$2
  [ "$STATUS" = 0 ] || [ "$failed" -gt 0 ] || failed=1
  [ "$failed" = 0 ] || show_failure
  say "    $1 passed, $failed failed"
  count "$1" "$failed"
}

# ---- afterwards

alive() { kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ]; }

# Removes what tests left in the engine: of this run, and of earlier ones whose process is no more. Nothing else.
sweep() {
  local kind
  engine_answers || return 0
  ours() { # lines "ID NAMES…": the ids of those with a name of a test's, whose process is gone
    local id names name pid
    while read -r id names; do
      for name in $names; do
        [[ $name =~ ^roadstead-test(-[a-z]+)*-([0-9]+)([-_:/].*)?$ ]] || continue
        pid=${BASH_REMATCH[2]}
        if [ "$pid" = $$ ] || ! alive "$pid"; then say "$id" && break; fi
      done
    done
  }
  docker ps --all --format '{{.ID}} {{.Names}} {{.Image}} {{.Label "com.docker.compose.project"}}' | ours |
    xargs -r docker rm --force --volumes >/dev/null
  for kind in volume network; do
    docker "$kind" ls --format '{{.Name}} {{.Name}}' | ours | xargs -r docker "$kind" rm >/dev/null
  done
  docker image ls --format '{{.Repository}}:{{.Tag}} {{.Repository}}' | ours | xargs -r docker image rm >/dev/null
}

clear_up() {
  trap '' INT TERM
  trap - EXIT
  sweep || true
  if [ -n "${STARTED_ENGINE:-}" ]; then stop_engine >/dev/null 2>&1 || true; fi
}
