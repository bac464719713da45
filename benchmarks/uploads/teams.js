// Teams that upload at once, for k6 (https://k6.io). `python -m benchmarks.uploads --k6 k6` makes Luna, accounts and files,
// runs this, and counts afterwards. By itself, against a Luna whose teams exist:
//
//     k6 run -e FOLDER=/folder/with/teams.json -e ORIGIN=http://127.0.0.1:8000 benchmarks/uploads/teams.js
import http from "k6/http";
import { check, fail } from "k6";
import exec from "k6/execution";
import { Counter, Trend } from "k6/metrics";

const VERDICT_S = 600;
const FOLDER = __ENV.FOLDER;
const API = `${__ENV.ORIGIN}/api/v1`;
const teams = JSON.parse(open(`${FOLDER}/teams.json`));
// k6 opens for a virtual user only what it has opened before any of them, so the first pass opens the files of all teams.
const mine = __VU === 0 ? teams : [teams[(__VU - 1) % teams.length]];
const bodies = {};
for (const team of mine) {
  for (const set of team.sets) {
    for (const file of set.files) bodies[file.place] = open(`${FOLDER}/${file.place}`, "b");
  }
}

const verdictSeconds = new Trend("verdict_seconds");
const reports = new Counter("reports");
const sentBytes = new Counter("sent_bytes");
const serverErrors = new Counter("server_errors");

export const options = {
  scenarios: {
    teams: { executor: "per-vu-iterations", vus: teams.length, iterations: 1, maxDuration: "20m" },
  },
  batch: 4,
  batchPerHost: 4,
  systemTags: ["status", "method", "error_code"],
  thresholds: { checks: ["rate==1"], server_errors: ["count==0"] },
};

function asked(method, path, body, headers) {
  const params = { headers: { "Content-Type": "application/json", ...headers }, tags: { api: "luna" }, timeout: "120s" };
  const answer = http.request(method, API + path, body === null ? null : JSON.stringify(body), params);
  serverErrors.add(answer.status >= 500 || answer.status === 0 ? 1 : 0);
  return answer;
}

function ok(answer, what) {
  const good = answer.status >= 200 && answer.status < 300;
  check(answer, { [what]: () => good });
  if (!good) fail(`${what}: ${answer.status} ${answer.body}`);
  return answer.json();
}

// Content-Length is what k6 computes from the body: the same that is signed.
function put(file, place, timeout) {
  const { "Content-Length": _, ...headers } = file.upload.headers;
  const params = { headers, tags: { api: "store" }, timeout };
  return { method: file.upload.method, url: file.upload.url, body: bodies[place], params };
}

function uploaded(team, set, headers) {
  const begun = Date.now();
  const files = set.files.map(({ place: _, ...declared }) => declared);
  const places = Object.fromEntries(set.files.map((file) => [file.path, file.place]));
  const key = { ...headers, "Idempotency-Key": `${team.account_id}-${set.body.name}-${begun}` };
  let document = ok(asked("POST", "/upload/start", { ...set.body, files }, key), "started");
  const id = document.dataset_id;
  if (team.cut_off) {
    const first = document.files[0];
    const { method, url, body, params } = put(first, places[first.path], "5ms");
    http.request(method, url, body, params);
    document = ok(asked("GET", `/upload/${id}?renew=true`, null, headers), "renewed");
  }
  const missing = document.files.filter((file) => file.state === "missing");
  const answers = http.batch(missing.map((file) => put(file, places[file.path], "120s")));
  answers.forEach((answer, i) => {
    // 412: a PUT that was cut off had arrived all the same.
    check(answer, { "stored": () => [200, 204, 412].includes(answer.status) });
    sentBytes.add(missing[i].bytes);
  });
  for (let i = 0; i < 2; i++) ok(asked("POST", "/upload/complete", { dataset_id: id }, headers), "completed");
  let state = "validating";
  while (state === "validating" && Date.now() - begun < VERDICT_S * 1000) {
    state = ok(asked("GET", `/validation/${id}/status`, null, { ...headers, Prefer: "wait=20" }), "asked").state;
  }
  check(state, { "right verdict": () => state === set.verdict });
  verdictSeconds.add((Date.now() - begun) / 1000, { wanted: set.verdict, state });
  const report = asked("GET", `/datasets/${id}/report`, null, headers);
  reports.add(check(report, { "report": () => report.status === 200 }) ? 1 : 0);
}

export default function () {
  const team = mine[0];
  exec.vu.metrics.tags.team = String(team.account_id);
  const { email, password, account_id } = team;
  const login = ok(asked("POST", "/auth/login", { email, password, account_id }, {}), "signed in");
  for (const set of team.sets) uploaded(team, set, { Authorization: `Bearer ${login.access_token}` });
}
