#!/bin/sh
# Live metrics with curl: samples in two forms, the last values, statistics, PromQL, buckets of a minute. Costs six units.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
api=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID
ask() { curl --silent --show-error --fail-with-body --header "X-API-Key: $LUNA_API_KEY" "$@"; }
send() { ask --header "Content-Type: application/json" --data "$2" "$api/$1"; echo; }

send metrics/ingest '{"name": "room_temperature", "value": 21.5, "labels": {"room": "kitchen"}}'

# An hour of samples as columns: one series, timestamps in milliseconds.
now=$(date +%s)
timestamps=$(i=60; while [ $i -gt 0 ]; do printf '%s000,' $((now - 60 * i)); i=$((i - 1)); done)
values=$(i=60; while [ $i -gt 0 ]; do printf '%s,' $((18 + i % 5)); i=$((i - 1)); done)
send metrics/batch "{\"series\": [{\"name\": \"room_temperature\", \"labels\": {\"room\": \"cellar\"},
  \"timestamps\": [${timestamps%,}], \"values\": [${values%,}]}]}"

ask "$api/metrics/latest/room_temperature"
echo
ask "$api/metrics/stats/room_temperature?start=$(((now - 3600) * 1000))"
echo
ask --get --data-urlencode 'query=max by (room) (max_over_time(room_temperature[1h]))' "$api/metrics/query/instant"
echo
ask "$api/metrics/aggregated?name=room_temperature&interval=5m&start=$(((now - 1200) * 1000))"
echo
