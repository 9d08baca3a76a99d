// The five most probable classes as bars, the right one marked.

import { announce, el, percent, refill, segments } from "./elements.js";
import { go, link } from "./place.js";
import { ask, ofRun } from "./server.js";
import { say } from "./words.js";

/** What the run says of the image, by its centre or by ten crops. */
export async function showAnswer(panel, { run, at, signal }) {
  const views = run.views.includes(at.views) ? at.views : run.views[0];
  const key = `${at.run} ${at.image} ${views} ${at.label} ${at.heat}`;
  if (panel.dataset.key === key) return;
  const answer = await ask(ofRun(at.run, "predictions", { image: at.image, views }), signal);
  const choose = segments(say("answer.views"), run.views.map((one) => [one, say(`answer.${one}`)]), views,
    (one) => go({ views: one }, { refine: true }));
  const took = say("answer.took", { seconds: duration(answer.seconds) });
  refill(panel,
    el("div", { class: "head" }, el("h2", {}, say("answer.heading")), choose),
    el("p", { class: "about" }, say("answer.about")),
    bars(answer, {
      chosen: at.heat ? at.label : null,
      onchoose: (label) => go({ label, heat: at.heat ?? "gradcam" }, { refine: true }),
    }),
    el("p", { class: "hint" }, say(`answer.${views}.about`), " ", took),
    onwards(run, at, answer.predictions[0].label),
  );
  panel.dataset.key = key;
  announce(inWords(answer));
}

/** Where to go from here: a first answer is the beginning of a walk. */
function onwards(run, at, label) {
  const ways = [
    ["heat", { heat: "gradcam" }, { label }],
    ["inside", { view: "inside" }],
    ["similar", { view: "similar" }],
    ["mistakes", { view: "mistakes" }],
  ];
  const open = { heat: !at.heat, inside: true, similar: run.search, mistakes: run.confusion };
  const here = ways.filter(([way]) => open[way]);
  return el("ul", { class: "onwards" }, here.map(([way, changes, facts]) =>
    el("li", {}, el("a", { class: "card", href: link(changes) },
      el("strong", {}, say(`onwards.${way}`)), say(`onwards.${way}.about`, facts)))));
}

/** A table of classes with their probabilities as bars; a class can be clicked where `onchoose` is given. */
export function bars(answer, { chosen = null, onchoose = null } = {}) {
  const best = answer.predictions[0].label;
  const known = answer.label ?? null; // of an image of the reader's own nobody knows it
  const rows = answer.predictions.map(({ label, probability }) => {
    const right = label === known;
    const state = right ? "right" : label !== best ? null : known === null ? "best" : "wrong";
    const name = onchoose
      ? el("button", { type: "button", class: "plain", "data-value": label, "aria-pressed": String(label === chosen),
                       title: say("answer.explain", { label }), onclick: () => onchoose(label) }, label)
      : label;
    const bar = el("span", { class: "bar" });
    bar.style.inlineSize = `${100 * probability}%`;
    return el("tr", { class: state },
      el("th", { scope: "row" }, name, right ? el("span", { class: "mark" }, "✓ ", say("answer.right")) : null),
      el("td", { class: "track" }, bar),
      el("td", { class: "n" }, percent(probability)));
  });
  const missing = known !== null && !answer.predictions.some(({ label }) => label === known);
  return el("div", {},
    el("table", { class: "bars" },
      el("thead", { class: "unseen" }, el("tr", {}, el("th", { scope: "col" }, say("answer.class")), el("td", {}),
        el("th", { scope: "col" }, say("answer.probability")))),
      el("tbody", {}, rows)),
    missing ? el("p", { class: "hint" }, say("answer.not.among", { right: known })) : null,
    answer.accepted === false ? el("p", { class: "hint" }, say("answer.none")) : null);
}

/** Seconds as a reader says them. */
export function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(1000 * seconds))} ms` : `${seconds.toFixed(1)} s`;
}

function inWords({ predictions: [{ label, probability }], label: right }) {
  const key = right === null ? "answer.said" : right === label ? "answer.said.right" : "answer.said.wrong";
  return say(key, { label, probability: percent(probability), right });
}
