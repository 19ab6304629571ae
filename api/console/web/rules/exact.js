// Numbers of rules are exact decimals, wider than those of a browser: what a double does not hold is kept as it is written.

const canKeep = typeof JSON.rawJSON === 'function';

/** A decimal by its digits and the power of ten behind them, however it is written. */
function decimal(text) {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole ?? ''}${fraction}`.replace(/^0+/, '');
  const kept = digits.replace(/0+$/, '');
  return kept === ''
    ? '0'
    : `${sign === '-' ? '-' : ''}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`;
}

const holds = (value, text) => Number.isFinite(value) && decimal(String(value)) === decimal(text);

const isKept = (value) => canKeep && value !== null && typeof value === 'object' && JSON.isRawJSON(value);

/** True if a value is a number, kept as text or not. */
export const isNumber = (value) => typeof value === 'number' || isKept(value);

/** A value as it is typed. */
export const textOf = (value) => (isKept(value) ? value.rawJSON : String(value));

/** The number that a text writes: it is one by the rules of JSON, or nearly. */
export function numberOf(text) {
  const value = Number(text);
  if (!canKeep || holds(value, text)) return value;
  try {
    return JSON.rawJSON(text);
  } catch {
    // Such as `+1.` with more digits than a double has: JSON has no such number.
    return value;
  }
}

/** JSON text as values, each number exact. */
export function parseJson(text) {
  if (!canKeep) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    typeof value === 'number' && !holds(value, context.source) ? JSON.rawJSON(context.source) : value,
  );
}
