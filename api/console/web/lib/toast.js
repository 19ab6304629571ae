// Short messages about what was done.
import { createStore } from './store.js';

export const toasts = createStore(
  /** @type {{ id: number, text: string, bad?: boolean, undo?: () => Promise<void> }[]} */ ([]),
);
let next = 1;

/** @param {string} text @param {{bad?: boolean, undo?: () => Promise<void>}} [options] `undo` takes back what is told */
export function toast(text, options = {}) {
  const id = next;
  next += 1;
  toasts.set([...toasts.get().slice(-3), { id, text, ...options }]);
  setTimeout(() => dismiss(id), options.bad || options.undo ? 12_000 : 5_000);
}

export function dismiss(id) {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

/** Tells a failure; what was only broken off is none. */
export function toastProblem(problem) {
  if (problem.name !== 'AbortError') toast(problem.message, { bad: true });
}
