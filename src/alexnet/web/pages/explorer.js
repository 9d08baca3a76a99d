// The page's beginning: runs, languages, tabs, and which view is shown. Each view is a module beside this one.

import { showAnswer } from "./answer.js";
import { listenForImages, showTests } from "./choose.js";
import { showCompare } from "./compare.js";
import { announce, arrows, bringIntoSight, el, percent, refill, segments } from "./elements.js";
import { showInside } from "./inside.js";
import { showMistakes } from "./mistakes.js";
import { showPicture } from "./picture.js";
import { WITHOUT_IMAGE, go, place } from "./place.js";
import { ask } from "./server.js";
import { showSimilar } from "./similar.js";
import { showTraining } from "./training.js";
import { LANGUAGES, language, say, speak, translate } from "./words.js";

const VIEWS = {
  answer: showAnswer,
  inside: showInside,
  similar: showSimilar,
  mistakes: showMistakes,
  training: showTraining,
  compare: showCompare,
};
const AGAIN = 3000; // milliseconds until a run without weights is asked again

let runs = [];
let turn = new AbortController();

async function begin() {
  translate();
  drawLanguages();
  document.getElementById("skip").addEventListener("click", () => {
    document.querySelector("[role=tab][tabindex='0']").focus();
  });
  listenForImages();
  runs = await untilAnswered();
  const run = runs[place().run];
  if (!run) go({ run: 0 }, { refine: true });
  else if (!run.ready && !location.hash) go({ view: "training" }, { refine: true }); // that is all there is yet
  drawRuns();
  drawTabs();
  window.addEventListener("hashchange", show);
  await show();
  follow();
}

/** The runs that are served; a server that is not there yet is waited for, and the page says so. */
async function untilAnswered() {
  for (;;) {
    try {
      return await ask("/api/runs");
    } catch (refusal) {
      const panels = document.getElementById("panels");
      await new Promise((resolve) => panels.replaceChildren(problem(refusal, resolve)));
      panels.replaceChildren();
    }
  }
}

/** Show the place that the address names. What an earlier place still waits for is given up. */
async function show() {
  turn.abort();
  turn = new AbortController();
  const { signal } = turn;
  const at = place();
  const run = runs[at.run];
  if (!run) return go({ run: 0 }, { refine: true });
  if (!document.getElementById(`panel-${at.view}`)) return go({ view: "answer" }, { refine: true });
  document.getElementById("trouble").hidden = true; // it was about another image
  document.title = `${say(`view.${at.view}`)} · ${run.name} · alexnet`;
  drawRuns();
  markTab(at.view);
  await Promise.all([
    guarded(document.getElementById("tests"), signal, () => showTests(run, at, signal)),
    guarded(document.getElementById("picture"), signal, () => showPicture(run, at, signal)),
    showView(run, at, signal),
  ]);
}

async function showView(run, at, signal) {
  const panel = document.getElementById(`panel-${at.view}`);
  if (!at.image && !WITHOUT_IMAGE.includes(at.view)) {
    panel.dataset.key = "";
    const [heading, how] = [say("image.none"), say("image.none.how")];
    panel.replaceChildren(el("div", { class: "card" }, el("h3", {}, heading), el("p", {}, how)));
    return;
  }
  await guarded(panel, signal, () => VIEWS[at.view](panel, { run, runs, at, signal }));
}

/** Do it, the place marked as busy until it is done; say there what went wrong. */
async function guarded(box, signal, act) {
  box.busy = (box.busy ?? 0) + 1; // an earlier turn may still be ending
  box.setAttribute("aria-busy", "true");
  try {
    await act();
  } catch (error) {
    if (signal.aborted) return;
    box.dataset.key = "";
    box.replaceChildren(problem(error, show));
    if (error.status === 409) setTimeout(() => signal.aborted || show(), AGAIN);
    if (error.status === undefined) throw error; // a fault of this page, not a refusal: the console has it
  } finally {
    box.busy -= 1;
    if (!box.busy) box.setAttribute("aria-busy", "false");
  }
}

function problem(error, again) {
  const waiting = error.status === 409;
  const gone = error.status === 404 && place().image?.startsWith("upload-");
  announce(error.message);
  return el("div", { class: "card trouble" },
    el("h3", {}, say(waiting ? "problem.weights" : "problem.heading")),
    el("p", {}, error.message),
    waiting ? el("p", {}, say("problem.weights.how")) : null,
    gone ? el("p", {}, say("problem.gone")) : null,
    waiting
      ? el("button", { type: "button", onclick: () => go({ view: "training" }) }, say("problem.watch"))
      : el("button", { type: "button", onclick: again }, say("problem.again")));
}

/** While a run is training its facts change: ask for them until it has ended. */
async function follow() {
  while (runs.some((run) => run.training)) {
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const before = JSON.stringify(runs);
    runs = await ask("/api/runs").catch(() => runs);
    if (JSON.stringify(runs) !== before) await show();
  }
}

function drawRuns() {
  const at = place();
  const run = runs[at.run] ?? runs[0];
  const take = (event) => go({ run: Number(event.target.value), label: null, cell: null });
  const options = runs.map((one) => el("option", { value: one.run, selected: one.run === at.run }, one.name));
  const select = el("select", { id: "run", "data-value": "run", onchange: take }, options);
  const choice = runs.length > 1
    ? el("label", {}, el("span", { class: "unseen" }, say("run.pick")), select)
    : el("strong", {}, run.name);
  const tested = typeof run.test_error === "number";
  const state = tested ? say("run.error", { error: percent(run.test_error) }) : say("run.untested");
  const [low, high] = (run.interval ?? []).map(percent);
  refill(document.getElementById("runs"),
    choice,
    el("span", { class: "figure" }, run.training ? say("run.training") : state),
    low ? el("span", { class: "muted wide" }, say("run.interval", { low, high })) : "",
    el("span", { class: "muted" }, say("run.about", { model: run.model, classes: run.classes.length })),
  );
}

function drawLanguages() {
  const choices = Object.entries(LANGUAGES).map(([tag, [name]]) => [tag, name]);
  const group = segments("Language · 语言", choices, language(), (tag) => {
    speak(tag);
    translate();
    drawLanguages();
    drawTabs();
    for (const panel of document.querySelectorAll("[data-key]")) panel.dataset.key = "";
    show();
  });
  for (const button of group.children) button.lang = button.dataset.value;
  refill(document.getElementById("language"), ...group.children);
}

function drawTabs() {
  const views = Object.keys(VIEWS).filter((view) => view !== "compare" || runs.length > 1);
  const tabs = document.getElementById("tabs");
  tabs.replaceChildren(...views.map((view) =>
    el("button", { type: "button", role: "tab", id: `tab-${view}`, "aria-controls": `panel-${view}`,
                   onclick: () => go({ view }) }, say(`view.${view}`))));
  const panels = document.getElementById("panels");
  if (!panels.children.length) {
    panels.append(...views.map((view) =>
      el("div", { role: "tabpanel", id: `panel-${view}`, "aria-labelledby": `tab-${view}`, hidden: true })));
  }
}

function markTab(view) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${view}`;
    tab.setAttribute("aria-selected", String(chosen));
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  const [tabs, tab] = [document.getElementById("tabs"), document.getElementById(`tab-${view}`)];
  arrows(tabs, "[role=tab]", tab);
  bringIntoSight(tabs, tab);
}

begin();
