# shellcheck shell=bash
# What the operator wants done around a deploy: deploy/hooks/README.md. Sourced, after _lib.sh.

# run_hook NAME: sets STATUS, 0 where there is none.
run_hook() {
  local hook=$ROOT/deploy/hooks/$1
  STATUS=0
  [ -x "$hook" ] || return 0
  DEPLOY_ACT=$ACT DEPLOY_FROM=$FROM DEPLOY_TO=$TO DEPLOY_REASON=${REASON:-} logged "Hook $1" within 300 "$hook"
  if [ -n "$CHILD_LOG" ]; then show_child_log; fi
  [ "$STATUS" = 0 ] || warn "the hook $1 ended with $STATUS"
}
