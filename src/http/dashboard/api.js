// The API, as this page uses it. The token is kept here and nowhere else.

let token = null;

export class Refused extends Error {}
export class LoggedOut extends Error {}

async function send(query, variables) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  } catch {
    throw new Refused("The server does not answer.");
  }
  const answer = await response.json().catch(() => ({ errors: [{ message: `The server answered ${response.status}.` }] }));
  const error = answer.errors?.[0];
  if (error?.extensions?.code === "UNAUTHENTICATED" && token) {
    token = null;
    throw new LoggedOut("Your session has ended. Log in again.");
  }
  if (error) throw new Refused(error.message);
  return answer.data;
}

/** Sends a mutation; answers its payload, or throws what a person can mend. */
async function change(query, variables) {
  const payload = Object.values(await send(query, variables))[0];
  if (payload.userErrors.length > 0) throw new Refused(payload.userErrors.map((error) => error.message).join(" "));
  return payload;
}

export async function login(email, password) {
  const query = `mutation JobsPageLogin($input: PlatformLoginInput!) {
    platformLogin(input: $input) { accessToken userErrors { message } }
  }`;
  token = (await change(query, { input: { email, password } })).accessToken;
}

export function logout() {
  const ended = token ? send("mutation JobsPageLogout { logout { userErrors { message } } }", {}) : Promise.resolve();
  token = null;
  return ended.catch(() => {});
}

const JOB = "id kind status isManual scheduledAt runAfter startedAt finishedAt attempts maxAttempts node lastError summary { name count }";

/** Everything that the page shows. */
export function board() {
  return send(`query JobsPage {
    recurringJobs { name description schedule timeZone nextAt paused version lastJob { status finishedAt startedAt } }
    workQueues { kind due leased failing oldestDueAt }
    jobThroughput(hours: 24) { from succeeded dead skipped }
    open: jobs(first: 50, status: [QUEUED, RUNNING, FAILED]) { nodes { ${JOB} } }
    dead: jobs(first: 50, status: [DEAD]) { nodes { ${JOB} } }
    history: jobs(first: 20, status: [SUCCEEDED, SKIPPED]) { nodes { ${JOB} } }
  }`, {});
}

const named = (mutation, type) =>
  `mutation JobsPageChange($name: String!) { ${mutation}(name: $name) { ${type} { __typename } userErrors { message } } }`;

export const runNow = (name) => change(named("cronRunNow", "job"), { name });
export const pause = (name) => change(named("cronPause", "cron"), { name });
export const resume = (name) => change(named("cronResume", "cron"), { name });
export const retry = (id) =>
  change("mutation JobsPageRetry($id: ID!) { jobRetry(id: $id) { job { id } userErrors { message } } }", { id });

export function reschedule(name, expectedVersion, input) {
  return change(`mutation JobsPageReschedule($name: String!, $input: CronUpdateInput!, $expectedVersion: Int) {
    cronUpdate(name: $name, input: $input, expectedVersion: $expectedVersion) { cron { version } userErrors { message } }
  }`, { name, input, expectedVersion });
}
