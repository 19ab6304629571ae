// Runs before the first paint, so that a theme that was chosen does not flash in.
(() => {
  try {
    const chosen = localStorage.getItem('audience.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system's theme is shown.
  }
})();
