#!/bin/sh
# Runs a complete study with curl alone: posts it, polls it, fetches the answer.
# Needs a running `lehr up`; LEHR_SERVER is its URL. Does not need jq.
set -eu
server=${LEHR_SERVER:-http://127.0.0.1:8765}

# A unique key makes the request safe to repeat: the study is created once.
location=$(curl --fail-with-body --silent --show-error --dump-header - --output /dev/null \
  --header 'Content-Type: application/json' --header "Idempotency-Key: curl-$$-$(date +%s)" \
  --data '{
    "name": "digits-curl",
    "task": {"name": "digits", "params": {"model": "mlp", "epochs": 5}},
    "space": {"families": ["constant", "linear", "cosine"]},
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "budget": {"trials": 9, "parallel": 4},
    "confirm": {"top": 1, "seeds": 3}
  }' "$server/v1/studies" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
case $location in /*) study=$server$location ;; *) study=$location ;; esac
echo "posted $study" >&2

while :; do
  document=$(curl --fail-with-body --silent --show-error "$study")
  state=$(printf '%s' "$document" | sed 's/.*"state": *"\([A-Z]*\)".*/\1/')
  echo "$state" >&2
  case $state in COMPLETED) break ;; FAILED | CANCELLED) exit 1 ;; esac
  sleep 1
done

curl --fail-with-body --silent --show-error "$study/best?points=5"
echo
