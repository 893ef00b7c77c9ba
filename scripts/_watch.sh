# shellcheck shell=bash
# The watch over a new release: what nginx's own log says of each slot, held against the slot beside it and the time
# before. Sourced, after _stack.sh.

# In percent of answers, in times, in seconds.
load_watch_settings() {
  WATCH_SECONDS=$(setting ROADSTEAD_WATCH_SECONDS 30)
  WATCH_ERRORS=$(setting ROADSTEAD_WATCH_ERRORS 2)
  WATCH_SLOWER=$(setting ROADSTEAD_WATCH_SLOWER 3)
  local name value
  for name in SECONDS ERRORS SLOWER; do
    value=WATCH_$name
    [[ ${!value} =~ ^[0-9]{1,4}$ ]] ||
      bad_setting "ROADSTEAD_WATCH_$name" "${!value}" "not a number" "use a whole number from 0 to 9999"
  done
}

# Fewer answers say nothing.
readonly ENOUGH=20
# What is slower by less is no reason for anything, in milliseconds.
readonly SLOWER_BY=50

# tally SINCE [UNTIL]: lines "SLOT ANSWERS ERRORS BUSY MEDIAN", the median in ms. Of a request that went to two slots, each has its own.
tally() {
  # Not more than a busy site writes in a few seconds: it all comes through a pipe, which may be long.
  docker logs --since "$1" ${2:+--until "$2"} --tail 50000 "$(field nginx 2)" 2>/dev/null | awk '
    function value(name, from, rest) {
      from = index($0, "\"" name "\":\"")
      if (!from) return ""
      rest = substr($0, from + length(name) + 4)
      return substr(rest, 1, index(rest, "\"") - 1)
    }
    {
      n = split(value("upstream"), slots, ", ")
      split(value("upstream_status"), statuses, ", ")
      split(value("upstream_header_s"), times, ", ")
      for (i = 1; i <= n; i++) {
        slot = slots[i] ~ /blue/ ? "app-blue" : slots[i] ~ /green/ ? "app-green" : ""
        if (slot == "") continue
        answers[slot]++
        if (statuses[i] == 503) busy[slot]++
        else if (statuses[i] >= 500) errors[slot]++
        if (times[i] != "-") { ms = int(times[i] * 1000 + 0.5); timed[slot]++; took[slot, ms]++; if (ms > longest[slot]) longest[slot] = ms }
      }
    }
    END {
      for (slot in answers) {
        seen = 0
        for (ms = 0; ms <= longest[slot]; ms++) if ((seen += took[slot, ms]) * 2 >= timed[slot]) break
        print slot, answers[slot], errors[slot] + 0, busy[slot] + 0, ms
      }
    }'
}

# judge SLOT TALLY OTHER OTHER-TALLY WHOLE: prints the reason if SLOT does worse than OTHER. The time it takes is judged only
# in the end (WHOLE), for a first answer is slow; being busy (503) only beside a slot that bears the same load.
judge() {
  printf '%s\n-\n%s\n' "$2" "$4" | awk -v slot="$1" -v other="$3" -v whole="$5" -v enough="$ENOUGH" -v by="$SLOWER_BY" \
    -v limit="$WATCH_ERRORS" -v times="$WATCH_SLOWER" '
    $1 == "-" { second = 1; next }
    !second && $1 == slot { answers = $2; errors = $3; busy = $4; median = $5 }
    second && (other == "before" || $1 == other) {
      others += $2; other_errors += $3; other_busy += $4
      if ($5 > other_median) other_median = $5
    }
    END {
      if (answers < enough) exit
      if (other != "before") { errors += busy; other_errors += other_busy }
      allowed = limit + (others ? 100 * other_errors / others : 0)
      if (100 * errors / answers > allowed)
        printf "%s answered %d of %d requests with an error (%.0f %%, and %.0f %% are allowed)\n", slot, errors, answers, 100 * errors / answers, allowed
      else if (whole && others >= enough && median > times * other_median && median > other_median + by)
        printf "%s takes %d ms for an answer (the median; %s %d ms, and %d times as long is allowed)\n", slot, median, other == "before" ? "it took before" : other " takes", other_median, times
    }'
}

# The engine's, not ours: it is what its logs go by.
host_clock() { epoch "$(docker info --format '{{.SystemTime}}')"; }

# A container that this act has made began with none.
restarts_known() { case " $REPLACED " in *" $1 "*) say 0 ;; *) field "$1" 8 ;; esac }

# watch SLOT…: for the length of the window; fails with the reason as soon as there is one.
watch() {
  local slot other began until=$((SECONDS + WATCH_SECONDS)) why restarts='' whole='' now
  look_containers
  for slot in "$@"; do restarts+="$slot $(restarts_known "$slot")"$'\n'; done
  began=$(host_clock)
  say "watching $* for $WATCH_SECONDS s"
  until [ -n "$whole" ]; do
    sleep 1
    [ $SECONDS -lt $until ] || whole=yes
    look_containers
    now=$(tally "$began")
    for slot in "$@"; do
      why=
      if [ "$(field "$slot" 8)" != "$(awk -v slot="$slot" '$1 == slot { print $2 }' <<<"$restarts")" ]; then
        why="$slot has crashed, and was started again"
      elif ! well "$slot"; then
        why=$(condition "$slot")
      elif [ $# -gt 1 ]; then
        why=$(judge "$slot" "$now" before "$BEFORE" "$whole")
      else
        other=app-blue
        [ "$slot" != app-blue ] || other=app-green
        why=$(judge "$slot" "$now" "$other" "$now" "$whole")
      fi
      if [ -n "$why" ]; then
        tell_log "$slot"
        say "$NOT_WELL $why"
        return 1
      fi
    done
  done
}
