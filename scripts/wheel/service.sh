# A server, a small study over REST, what came of it, and the end of the server.
set -euo pipefail

port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
export ALPHAGRAD_API_KEY=a-key-for-this-check-alone-0123456789

alphagrad --version
alphagrad serve --port "$port" >serve.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; cat serve.log' EXIT
for _ in $(seq 300); do
  curl --silent --fail "$url/healthz" >/dev/null && break
  kill -0 "$server"
  sleep 0.2
done

api() { curl --silent --show-error --fail-with-body --header "Authorization: Bearer $ALPHAGRAD_API_KEY" "$@"; }
holds() { python -c 'import sys; text = sys.stdin.read(); assert sys.argv[1] in text, text' "$1"; }

api "$url/v1/studies" --json '{
  "name": "small", "task": "digits", "n_trials": 2, "parallelism": 2, "direction": "maximize", "seed": 1,
  "params": {"epochs": 1, "hidden_sizes": [8], "batch_size": 256,
             "alpha": {"type": "float", "low": 1, "high": 100, "log": true}}
}' | holds '"state":"QUEUED"'

for _ in $(seq 600); do
  state=$(api "$url/v1/studies/small" | python -c 'import json, sys; print(json.load(sys.stdin)["state"])')
  [ "$state" = COMPLETED ] && break
  sleep 0.2
done
echo "study small: $state"
[ "$state" = COMPLETED ]

api "$url/v1/studies/small/trials/0" | holds '"state":"COMPLETE"'
api "$url/v1/studies/small/trials/0/alpha" | holds '"saturation":[['
[ "$(curl --silent --output /dev/null --write-out '%{http_code}' "$url/v1/studies")" = 401 ]
api "$url/" | holds '<script type="module"'
api "$url/studies/small" | holds '<script type="module"'
api "$url/studies/small/trials/0" >page.html
files=$(grep --only-matching '"/[^"]*\.\(css\|js\|svg\)"' page.html | tr -d '"')
for file in $files; do api "$url$file" >/dev/null; done
echo "the pages of the study and the $(wc -w <<<"$files") files that a trial's page names are there"

kill -INT "$server"
code=0
wait "$server" || code=$?
echo "the server ended with exit code $code"
[ "$code" = 0 ] || [ "$code" = 130 ]
trap - EXIT
[ -f .alphagrad/alphagrad.db ]
