// A press of a pointer, from down to up. A page that moves meanwhile loses the click: it ends on another element than it began.
/** The end of the press that goes on. */
let ended;
let release;

if (typeof document !== 'undefined') {
  document.addEventListener(
    'pointerdown',
    () => (ended ??= new Promise((resolve) => (release = resolve))),
    true,
  );
  for (const end of ['pointerup', 'pointercancel']) {
    // The click comes with the same event as the release, so that it is over after this.
    document.addEventListener(end, () => setTimeout(finish), true);
  }
}

function finish() {
  release?.();
  ended = undefined;
}

/** Waits for the click of a pointer that is pressed, before what moves parts of a page that nobody touched. */
export async function pressEnded() {
  await ended;
}
