#!/bin/sh
# The Kalman routes with curl: filter, forecast, and a named model.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env

call() {
  method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --request "$method" "$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID/$path" \
    --header "X-API-Key: $LUNA_API_KEY" --header "Content-Type: application/json" "$@"
  echo
}

# The filtered level of one series; null is a missing value. Costs 1 unit.
call POST kalman --data '{"results": [1120, 1160, 963, null, 1160]}'

# Three steps ahead, with 95 % intervals, for two series under one model. Costs 2 units: one per series.
call POST kalman/forecast --data '{
  "model": {"kind": "local_linear_trend", "obs_var": 15099, "level_var": 1469.1, "trend_var": 10},
  "observations": [[1120, 1160, 963, 1210], [1210, null, 1160, 1160]],
  "steps": 3, "level": 0.95}'

# A model under a name, and a call that uses it. Storing a model costs nothing.
call PUT models/nile --data '{"kind": "local_level", "obs_var": 15099, "level_var": 1469.1}'
call POST kalman/filter --data '{"model": {"name": "nile"}, "observations": [[1120, 1160, 963]],
  "outputs": ["filtered_state", "loglike"]}'
