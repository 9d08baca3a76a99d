// Where the reader is: which run, image and view. It lives in the address after the #, so that every place is a link.

const NUMBERS = ["run", "unit"];

/** {run, view, image, views, heat, label, stage, unit, cell}; what the address does not name is null. */
export function place() {
  const named = new URLSearchParams(location.hash.slice(1));
  const at = {
    run: 0, view: "answer", image: null, views: "center", heat: null, label: null, stage: null, unit: null, cell: null,
  };
  for (const [name, value] of named) {
    if (name in at) at[name] = NUMBERS.includes(name) ? Math.max(0, Math.trunc(Number(value))) || 0 : value;
  }
  return at;
}

/** Views of the run as a whole: no image belongs to them. */
export const WITHOUT_IMAGE = ["mistakes", "training"];

/** The address of a place that differs from this one by `changes`. */
export function link(changes) {
  const at = { ...place(), ...changes };
  const usual = { run: 0, view: "answer", views: "center" };
  const named = Object.entries(at).filter(([name, value]) => value !== null && value !== usual[name]);
  return `#${new URLSearchParams(named)}`;
}

/** Go there: a step that the browser's back button takes back, unless it only refines where one is. */
export function go(changes, { refine = false } = {}) {
  const hash = link(changes);
  if (hash === (location.hash || "#")) return;
  if (refine) {
    history.replaceState(null, "", hash);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = hash;
  }
}

/** Look at another image: in the view where one is, or at its answer where that view is of no image. */
export function lookAt(image, how) {
  const { view } = place();
  go({ image, label: null, view: WITHOUT_IMAGE.includes(view) ? "answer" : view }, how);
}
