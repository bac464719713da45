#!/bin/sh
# A fit as a job with curl: create it, follow its events until it ends, read the result as JSON.
# Reads LUNA_URL, LUNA_ACCOUNT_ID and LUNA_API_KEY from the environment, else from .luna/env, which `make up` writes.
set -eu
[ -n "${LUNA_API_KEY:-}" ] || . ./.luna/env
account=$LUNA_URL/api/v1/$LUNA_ACCOUNT_ID

# The header has the path of the job.
job=$LUNA_URL$(curl --silent --show-error --fail-with-body --output /dev/null --dump-header - "$account/jobs/" \
  --header "X-API-Key: $LUNA_API_KEY" --header "Content-Type: application/json" --data '{
    "kind": "kalman/fit",
    "parameters": {
      "model": {"kind": "local_level", "obs_var": 15099, "level_var": 1469},
      "observations": [[1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935]]
    },
    "labels": {"example": "jobs.sh"}
  }' | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')

# Ends with the job.
curl --silent --show-error --fail-with-body --no-buffer "$job/events" --header "X-API-Key: $LUNA_API_KEY" \
  | grep '^event:'
curl --silent --show-error --fail-with-body "$job/result" --header "X-API-Key: $LUNA_API_KEY"
echo
