// Runs trials of a study with engine "remote": plain Node, no packages.
//   ALPHAGRAD_URL=http://127.0.0.1:8000 ALPHAGRAD_API_KEY=… node remote.mjs STUDY CLIENT
const [study, client] = process.argv.slice(2);
const { ALPHAGRAD_URL: url, ALPHAGRAD_API_KEY: key, STEP_SECONDS = "0.1" } = process.env;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

class Lost extends Error {}

// JSON has no infinities: NaN goes out as null by itself, they are words.
const asWords = (name, value) => (Math.abs(value) === Infinity ? String(value) : value);

async function post(path, body) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(`${url}/v1/studies/${encodeURIComponent(study)}/${path}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
        body: JSON.stringify(body, asWords),
      });
      if (answer.ok) return await answer.json();
    } catch {
      answer = undefined; // none, or half of one
    }
    if (answer && answer.status < 500 && ![408, 429].includes(answer.status)) {
      const { detail, type } = await answer.json().catch(() => ({ detail: `status ${answer.status}` }));
      throw String(type).endsWith(":stale-fence") ? new Lost(detail) : new Error(detail);
    }
    await sleep(0.2); // the server is away: say it again
  }
}

async function run(trial) {
  const say = (what, body) => post(`trials/${trial.number}:${what}`, { fence: trial.fence, ...body });
  const beat = () => say("heartbeat", {}).catch(() => {}); // what is lost, the next report says
  const beating = setInterval(beat, (1000 * trial.lease_seconds) / 3);
  try {
    let loss = NaN;
    for (let step = 0; step < 20; step++) {
      loss = (trial.params.x - 0.3) ** 2 + 1 / (step + 1); // the training
      await sleep(Number(STEP_SECONDS));
      const standing = await say("report", { reports: [{ step, value: loss }] });
      if (standing.should_prune) return await say("tell", { state: "PRUNED" });
    }
    return await say("tell", { state: "COMPLETE", value: loss });
  } finally {
    clearInterval(beating);
  }
}

for (;;) {
  const { trial, study_state, retry_after } = await post("trials:ask", { client });
  if (trial !== null) {
    await run(trial).catch((error) => {
      if (!(error instanceof Lost)) throw error; // it would be given the same trial again
      console.error(`trial ${trial.number}: ${error.message}`);
    });
  } else if (["QUEUED", "RUNNING", "PAUSED"].includes(study_state)) {
    await sleep(retry_after);
  } else {
    break;
  }
}
