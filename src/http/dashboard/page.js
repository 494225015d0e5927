// The page at /jobs: logs in, shows, steers.

import * as api from "./api.js";
import { picture } from "./picture.js";
import { button, element, put, status, table, time } from "./tables.js";

const EVERY = 10_000;
const $ = (id) => document.getElementById(id);
let changing = null;

function say(text) {
  $("status").textContent = text;
}

function show(loggedIn, message = "") {
  $("login").hidden = loggedIn;
  $("tools").hidden = !loggedIn;
  $("board").hidden = !loggedIn;
  $("refused").textContent = message;
  $("password").value = "";
  if (loggedIn) $("main").focus();
  else {
    if ($("change").open) $("change").close();
    $("email").focus();
  }
}

/** Does something through the API, says how it went, and shows how things are then. */
async function act(done, work) {
  try {
    await work();
    await refresh(done);
  } catch (error) {
    told(error);
  }
}

function told(error) {
  if (error instanceof api.LoggedOut) show(false, error.message);
  else say(error instanceof api.Refused ? error.message : `This went wrong: ${error.message}`);
}

async function refresh(done) {
  const board = await api.board();
  if ($("board").hidden) return;
  draw(board);
  const at = `updated at ${new Date().toLocaleTimeString()}`;
  if (done) say(`${done} (${at})`);
  else if (done === "") say(`Refreshed, ${at}`);
}

const counts = (job) => job.summary.filter((of) => of.count > 0).map((of) => `${of.name}: ${of.count}`).join(", ") || "—";

function steps(cron) {
  const { name } = cron;
  const toggle = cron.paused
    ? button(`toggle ${name}`, "Resume", name, () => act(`${name} goes on.`, () => api.resume(name)))
    : button(`toggle ${name}`, "Pause", name, () => act(`${name} is paused.`, () => api.pause(name)));
  return element(
    "div",
    { class: "actions" },
    button(`run ${name}`, "Run now", name, () => act(`${name} was asked to run.`, () => api.runNow(name))),
    toggle,
    button(`change ${name}`, "Change", name, () => ask(cron)),
  );
}

function draw({ recurringJobs, workQueues, jobThroughput, open, dead, history }) {
  put("picture", ...picture(jobThroughput));
  put("throughput", table(
    "Jobs that ended, by the hour",
    [["Hour"], ["Done", "number"], ["Dead", "number"], ["Left out", "number"]],
    jobThroughput.map((hour) => [time(hour.from), hour.succeeded, hour.dead, hour.skipped].map((of) => of.tagName ? of : String(of))),
    "There are no figures.",
  ));
  put("recurring", table(
    "What recurs, when it runs next, and how it went last",
    [["Job"], ["Schedule"], ["Next"], ["Last"], ["Actions"]],
    recurringJobs.map((cron) => [
      [cron.name, element("small", {}, cron.description ?? "")],
      [element("code", {}, cron.schedule), element("small", {}, cron.timeZone)],
      cron.paused ? element("span", { class: "PAUSED" }, "paused") : time(cron.nextAt),
      cron.lastJob ? [status(cron.lastJob.status), element("small", {}, time(cron.lastJob.finishedAt ?? cron.lastJob.startedAt))] : "never",
      steps(cron),
    ]),
    "Nothing recurs here yet: no node has declared its jobs.",
  ));
  put("queues", table(
    "Work of tenants, by its kind",
    [["Kind"], ["Due in tenants", "number"], ["Being worked on", "number"], ["Failing", "number"], ["Oldest due since"]],
    workQueues.map((queue) => [queue.kind, String(queue.due), String(queue.leased), String(queue.failing), time(queue.oldestDueAt)]),
    "There are no queues.",
  ));
  put("open", table(
    "Jobs that wait, run, or are tried again",
    [["Job"], ["Status"], ["Attempt"], ["Not before"], ["Last error", "cause"], ["Actions"]],
    open.nodes.map((job) => [
      [job.kind, element("small", {}, time(job.scheduledAt))],
      status(job.status),
      `${job.attempts} of ${job.maxAttempts}`,
      time(job.runAfter),
      job.lastError ?? "—",
      job.status === "FAILED" ? button(`retry ${job.id}`, "Retry now", job.kind, () => act(`${job.kind} is tried again.`, () => api.retry(job.id))) : "—",
    ]),
    "Nothing waits and nothing runs.",
  ));
  put("dead", table(
    "Jobs that were given up after their last attempt",
    [["Job"], ["Given up"], ["Attempts", "number"], ["Cause", "cause"], ["Actions"]],
    dead.nodes.map((job) => [
      [job.kind, element("small", {}, time(job.scheduledAt))],
      time(job.finishedAt),
      String(job.attempts),
      job.lastError ?? "—",
      button(`retry ${job.id}`, "Retry", job.kind, () => act(`${job.kind} is tried again.`, () => api.retry(job.id))),
    ]),
    "There are no dead letters.",
  ));
  put("history", table(
    "The last jobs that were done or left out",
    [["Job"], ["Status"], ["Ended"], ["What it did"], ["Node"]],
    history.nodes.map((job) => [
      [job.kind, element("small", {}, time(job.scheduledAt))],
      status(job.status),
      time(job.finishedAt),
      counts(job),
      job.node ?? "—",
    ]),
    "No job has run yet.",
  ));
}

function ask(cron) {
  changing = cron;
  $("change-name").textContent = cron.name;
  $("schedule").value = cron.schedule;
  $("zone").value = cron.timeZone;
  $("change-refused").textContent = "";
  $("change").showModal();
  $("schedule").focus();
}

$("changing").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, version } = changing;
  try {
    await api.reschedule(name, version, { schedule: $("schedule").value, timeZone: $("zone").value });
    $("change").close();
    await refresh(`${name} has another schedule.`);
  } catch (error) {
    if (error instanceof api.Refused) $("change-refused").textContent = error.message;
    else told(error);
  }
});
$("cancel").addEventListener("click", () => $("change").close());

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api.login($("email").value, $("password").value);
    show(true);
    await refresh("");
  } catch (error) {
    $("refused").textContent = error.message;
    if (!$("board").hidden) told(error);
  }
});

$("refresh").addEventListener("click", () => refresh("").catch(told));
$("logout").addEventListener("click", async () => {
  show(false);
  for (const id of ["picture", "throughput", "recurring", "queues", "open", "dead", "history"]) put(id);
  await api.logout();
  say("Logged out.");
});

// Quietly: a screen reader is not told every ten seconds that nothing has happened.
setInterval(() => {
  if ($("auto").checked && !$("board").hidden && !$("change").open && !document.hidden) refresh().catch(told);
}, EVERY);
$("email").focus();
