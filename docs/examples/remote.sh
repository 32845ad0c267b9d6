#!/bin/sh
# Runs trials of a study with engine "remote": curl and sed are all it needs.
#   ALPHAGRAD_URL=http://127.0.0.1:8000 ALPHAGRAD_API_KEY=… sh remote.sh STUDY CLIENT
set -eu
study=$1 client=$2 beating=
answer=$(mktemp)
trap 'rm -f "$answer" "$answer.beat"; [ -z "$beating" ] || kill "$beating" 2>/dev/null || :' EXIT

post() { # post PATH BODY: repeated until the server answers; fails if it refuses
  while :; do
    # The key goes through a pipe, since other users can read the arguments of a process.
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$ALPHAGRAD_API_KEY" |
      curl -s -K - -o "$answer" -w '%{http_code}' -H 'Content-Type: application/json' \
        -d "$2" "$ALPHAGRAD_URL/v1/studies/$study/$1") || status=000
    case $status in
      2??) return 0 ;;
      000 | 408 | 429 | 5??) sleep 0.2 ;;
      *) return 1 ;;
    esac
  done
}

json() { # json NUMBER: as JSON takes it, which has no NaN and no infinities
  case $1 in *nan) echo null ;; -inf) echo '"-Infinity"' ;; inf | +inf) echo '"Infinity"' ;; *) echo "$1" ;; esac
}

refused() { # the trial is another client's now, or something is wrong for good
  cat "$answer" >&2 && echo >&2
  [ "$status" = 409 ] || exit 1
}

field() { # field NAME: a number or a word of the answer
  sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$answer"
}

beat() { # beat SECONDS: signs of life beside the training
  answer=$answer.beat
  while sleep "$1" && post "trials/$number:heartbeat" "{\"fence\": $fence}"; do :; done
}

while post trials:ask "{\"client\": \"$client\"}"; do
  number=$(field number)
  if [ -z "$number" ]; then
    case $(field study_state) in
      QUEUED | RUNNING | PAUSED) sleep "$(field retry_after)" && continue ;;
      *) exit 0 ;;
    esac
  fi
  fence=$(field fence) x=$(field x)
  beat "$(awk "BEGIN { print $(field lease_seconds) / 3 }")" &
  beating=$! state=COMPLETE step=0
  while [ "$step" -lt 20 ]; do
    loss=$(json "$(awk "BEGIN { print ($x - 0.3) ^ 2 + 1 / ($step + 1) }")") # the training
    sleep "${STEP_SECONDS:-0.1}"
    post "trials/$number:report" \
      "{\"fence\": $fence, \"reports\": [{\"step\": $step, \"value\": $loss}]}" || { refused && state=LOST && break; }
    if [ "$(field should_prune)" = true ]; then
      state=PRUNED
      break
    fi
    step=$((step + 1))
  done
  kill "$beating" 2>/dev/null || :
  beating=
  result="{\"fence\": $fence, \"state\": \"$state\""
  [ $state = PRUNED ] || result="$result, \"value\": $loss"
  [ $state = LOST ] || post "trials/$number:tell" "$result}" || refused
done
refused
exit 1
