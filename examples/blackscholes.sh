#!/bin/sh
# Options with curl: prices and Greeks, an implied volatility, an American put.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env

call() {
  curl --silent --show-error --fail-with-body --request POST "$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID/blackscholes" \
    --header "X-API-Key: $LUNA_API_KEY" --header "Content-Type: application/json" "$@"
  echo
}

# A call and a put. Costs 1 unit, as up to 1000 options do.
call --data '{"options": {"type": ["call", "put"], "spot": 100, "strike": [90, 110], "rate": 0.05,
  "dividend_yield": 0.02, "volatility": 0.2, "expiry": 1.0}, "outputs": ["price", "delta", "gamma"]}'

# The volatility that gives a price.
call --data '{"options": {"type": "call", "spot": 100, "strike": 100, "rate": 0.05, "price": 10.45, "expiry": 1.0}}'

# An American put, and the spot below which its exercise is worth while.
call --data '{"options": {"type": "put", "spot": 100, "strike": 100, "rate": 0.05, "volatility": 0.25, "expiry": 1.0},
  "style": "american", "outputs": ["price", "exercise_boundary"]}'
