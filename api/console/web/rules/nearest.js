// The known name that a mistyped one may have meant.

/** The number of letters to add, drop, change or swap between neighbours, up to `most`. */
export function distance(a, b, most = Infinity) {
  if (Math.abs(a.length - b.length) > most) return Infinity;
  let older = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j], older[j - 2] + 1);
    }
    older = above;
    above = row;
  }
  return above[b.length];
}

/**
 * The known name that is nearest to another one, where one is near: other letters in a third of it at most, case aside.
 * @param {string} name
 * @param {string[]} known
 * @returns {string | undefined}
 */
export function nearest(name, known) {
  const wanted = name.toLowerCase();
  const most = Math.max(1, Math.floor(wanted.length / 3));
  let best;
  let least = most + 1;
  for (const one of known) {
    const found = distance(wanted, one.toLowerCase(), least - 1);
    if (found < least) {
      least = found;
      best = one;
    }
  }
  return best;
}
