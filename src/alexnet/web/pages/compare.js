// One image, all runs that are served, side by side.

import { bars, duration } from "./answer.js";
import { el, percent } from "./elements.js";
import { go } from "./place.js";
import { address, ask } from "./server.js";
import { say } from "./words.js";

/** The five most probable classes of each run. */
export async function showCompare(panel, { runs, at, signal }) {
  const key = `${at.image} ${at.views} ${at.run}`;
  if (panel.dataset.key === key) return;
  const answers = await ask(address("/api/compare", { image: at.image, views: at.views }), signal);
  const cards = answers.map((answer) => {
    const run = runs[answer.run];
    const error = run.test_error === null ? say("run.untested") : say("run.error", { error: percent(run.test_error) });
    return el("section", { class: "card", "aria-label": answer.name },
      el("h3", {}, answer.name),
      el("p", { class: "hint" }, `${run.model} · ${error} · ${duration(answer.seconds ?? 0)}`),
      answer.predictions?.length ? bars(answer) : el("p", { class: "hint" }, answer.problem),
      el("button", { type: "button", "aria-current": answer.run === at.run ? "true" : null,
                     onclick: () => go({ run: answer.run, view: "inside", stage: null, unit: null }) },
        say("compare.open", { name: answer.name })));
  });
  panel.replaceChildren(
    el("h2", {}, say("compare.heading")),
    el("p", { class: "about" }, say("compare.about")),
    el("div", { class: "cards" }, cards),
  );
  panel.dataset.key = key;
}
