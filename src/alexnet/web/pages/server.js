// What the page asks of its server. Every address is relative: nothing is ever asked of another place.

import { say } from "./words.js";

/** What the server refused to do: its one line and its HTTP status, 0 where it did not answer at all. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask for JSON. A 202 says how far the answer is: the page shows that and asks again until it is there. */
export async function ask(path, signal, options = {}) {
  const waiting = document.getElementById("waiting");
  try {
    for (;;) {
      const response = await fetched(path, { signal, ...options });
      const answer = await response.json().catch(() => null);
      if (!response.ok) throw new Refusal(response.status, answer?.detail ?? `${path}: ${response.status}`);
      if (response.status !== 202) return answer;
      waiting.textContent = answer.detail;
      waiting.dataset.path = path;
      await pause(2000, signal);
    }
  } finally {
    if (waiting.dataset.path === path) waiting.textContent = "";
  }
}

/** Ask for anything; gives the response. */
export async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, say("problem.unreachable"));
  }
}

/** Hand a file over; gives its id on the server. One that is too large is not sent at all. */
export async function upload(file) {
  const { bytes } = await ask("/api/limits");
  if (file.size > bytes) {
    throw new Refusal(413, say("choose.large", { size: megabytes(file.size), most: megabytes(bytes) }));
  }
  const form = new FormData();
  form.append("image", file, file.name || "pasted.png");
  return (await ask("/api/images", undefined, { method: "POST", body: form })).image;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The address of a question, with those of its parameters that have a value. */
export function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The same question to one run. */
export function ofRun(run, path, parameters) {
  return address(`/api/runs/${run}/${path}`, parameters);
}

/** Wait, unless the reader has gone on to something else. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
