// Training curves, which follow a run that is still going on.

import { chart } from "./chart.js";
import { el, figures, percent } from "./elements.js";
import { ask, ofRun, pause } from "./server.js";
import { say } from "./words.js";

const EVERY = 2000; // milliseconds between two questions while training goes on
const WHOLE_ANSWER = 2000; // lines: after so many there may be more at once

/** Loss and error by epoch; asks for new lines until the run has ended or the reader has gone on. */
export async function showTraining(panel, { run, at, signal }) {
  let lines = [];
  let next = 0;
  for (;;) {
    const news = await ask(ofRun(at.run, "curves", { after: next }), signal);
    signal.throwIfAborted();
    if (news.next < next) {
      // The run was resumed from an earlier step: what was written after it no longer counts.
      [lines, next] = [[], 0];
      continue;
    }
    const more = news.next > next;
    lines.push(...news.lines);
    next = news.next;
    if (more && news.lines.length >= WHOLE_ANSWER) continue;
    drawAll(panel, run, lines, news.training);
    panel.setAttribute("aria-busy", "false");
    if (!news.training) return;
    await pause(EVERY, signal);
  }
}

function drawAll(panel, run, lines, training) {
  const seen = lines.filter(({ kind }) => kind === "step" || kind === "validation");
  const state = el("p", { class: training ? "live" : "hint", role: "status" },
    say(training ? "training.live" : "training.done"));
  const head = [el("h2", {}, say("training.heading")), el("p", { class: "about" }, say("training.about")), state];
  if (!seen.length) {
    panel.replaceChildren(...head, el("div", { class: "card" }, el("h3", {}, say("training.none")),
      el("p", {}, say("training.none.how"))));
    return;
  }
  const reading = document.activeElement?.closest("#panel-training figure")?.dataset.name;
  const shared = { lines: seen, live: training };
  const tick = (error) => `${figures(100 * error)} %`;
  const guess = Math.log(run.classes.length);
  panel.replaceChildren(...head,
    el("div", { class: "charts" },
      chart({ name: "loss", heading: say("training.loss"), ...shared, format: figures, level: guess }),
      chart({ name: "error", heading: say("training.error"), ...shared, format: percent, tick })),
    ...said(lines.filter(({ kind }) => kind === "watchdog")),
    table(seen));
  if (reading) panel.querySelector(`[data-name="${reading}"]`)?.focus();
}

function said(lines) {
  if (!lines.length) return [];
  return [el("h3", {}, say("training.watchdog")),
    el("ul", {}, lines.map(({ step, message }) => el("li", {}, say("training.step", { step, message }))))];
}

function table(lines) {
  const rows = lines.filter(({ kind }) => kind === "validation");
  if (!rows.length) return "";
  const head = ["epoch", "loss", "error"].map((name) =>
    el("th", { scope: "col", class: "n" }, say(`training.${name}`)));
  return el("details", {}, el("summary", {}, say("training.table")), el("div", { class: "scroll" }, el("table", {},
    el("caption", {}, say("training.validation")),
    el("thead", {}, el("tr", {}, head)),
    el("tbody", {}, rows.map(({ epoch, loss, error, best }) => el("tr", {},
      el("th", { scope: "row", class: "n" }, figures(epoch)),
      el("td", { class: "n" }, figures(loss)),
      el("td", { class: "n" }, percent(error), best ? ` ✓ ${say("training.best")}` : "")))))));
}
