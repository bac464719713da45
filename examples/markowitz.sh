#!/bin/sh
# Portfolios with curl: the largest Sharpe ratio with a limit on a group, and constraints that contradict each other.
# Costs one unit: a refusal costs nothing.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env

portfolio() {
  curl --silent --show-error --request POST "$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID/markowitz" \
    --header "X-API-Key: $LUNA_API_KEY" --header "Content-Type: application/json" "$@"
  echo
}

# Three assets, of which the first two have at most 60 % together.
portfolio --fail-with-body --data '{
  "objective": "max_sharpe", "risk_free": 0.01,
  "mean": [0.05, 0.08, 0.11], "cov": [[0.04, 0.006, 0], [0.006, 0.09, 0.012], [0, 0.012, 0.16]],
  "constraints": {"groups": [{"members": [0, 1], "max": 0.6}]}}'

# At most 30 % and 50 % leave 20 % that nothing may hold: 422 names both groups, and the gap.
portfolio --data '{
  "objective": "min_variance", "cov": [[0.04, 0.006, 0], [0.006, 0.09, 0.012], [0, 0.012, 0.16]],
  "constraints": {"groups": [{"members": [0], "max": 0.3}, {"members": [1, 2], "max": 0.5}]}}'
