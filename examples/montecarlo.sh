#!/bin/sh
# Monte Carlo with curl: an Asian option at once, a barrier option under Heston's model as a job.
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

# 131,072 paths of 12 fixings: 2 units.
call POST montecarlo --data '{
  "model": {"kind": "gbm", "spot": 100, "rate": 0.05, "dividend_yield": 0.02, "volatility": 0.2},
  "payoff": {"kind": "asian", "type": "call", "strike": 100, "fixings": 12},
  "expiry": 1.0, "paths": 131072, "seed": 7}'

# What a larger run would cost, and how it would run; charges nothing.
call POST "montecarlo?validate_only=true" --data '{
  "model": {"kind": "gbm", "spot": 100, "volatility": 0.2}, "payoff": {"kind": "european", "type": "put", "strike": 95},
  "expiry": 0.5, "paths": 100000000}'

# A job, whose answer this waits for.
call POST jobs/ --header "Prefer: wait=30" --data '{"kind": "montecarlo", "parameters": {
  "model": {"kind": "heston", "spot": 100, "rate": 0.01, "v0": 0.04, "kappa": 4, "theta": 0.25, "sigma": 1, "rho": -0.5},
  "payoff": {"kind": "barrier", "type": "call", "strike": 100, "barrier": 80, "direction": "down", "knock": "out"},
  "expiry": 1.0, "steps": 50, "paths": 50000, "seed": 7}}'
