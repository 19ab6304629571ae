// Checks that a node has a shape that a form can show. A node of another shape, such as a list where a text belongs,
// is edited as JSON, so that no form breaks on it.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isText = (value) => typeof value === 'string';
const isTextOrTexts = (value) => isText(value) || (Array.isArray(value) && value.every(isText));
/** True if an optional member is absent or fits. */
const fits = (json, member, holds) => !(member in json) || holds(json[member]);

/** True if a node itself, without those below it, can be shown as a form. */
export function hasForm(json) {
  if (!isObject(json)) return false;
  if (Array.isArray(json.conditions) || Array.isArray(json.criteria)) return true;
  if ('left' in json || 'right' in json) return isOperand(json.left) && isOperand(json.right);
  if ('field' in json) return true;
  if ('event' in json) return isBehaviour(json);
  if ('sequence' in json) {
    const isList = Array.isArray(json.sequence) && json.sequence.every(isStep);
    return isList && fits(json, 'same', isTextOrTexts);
  }
  if ('segment' in json) return true;
  if ('rank' in json) return isObject(json.rank) && (!isObject(json.rank.by) || isBehaviour(json.rank.by));
  return isObject(json.sample);
}

/** True if the measured value is one path, a product of several, or the first of several that has a value. */
function isMeasured(of) {
  if (!isObject(of)) return isTextOrTexts(of);
  return Array.isArray(of.firstOf) && isTextOrTexts(of.firstOf) && fits(of, 'minus', isTextOrTexts);
}

function isBehaviour(json) {
  const isMeasure = (measure) => isText(measure) || (isObject(measure) && fits(measure, 'of', isMeasured));
  const isUnless = (unless) => isObject(unless) && fits(unless, 'same', isTextOrTexts);
  return (
    fits(json, 'event', isTextOrTexts) &&
    fits(json, 'measure', isMeasure) &&
    fits(json, 'each', isText) &&
    fits(json, 'unless', isUnless)
  );
}

/** True if a side of a comparison is a trait or a measure of events. */
function isOperand(json) {
  if (!isObject(json)) return false;
  if ('event' in json) return !('field' in json) && isBehaviour(json);
  return Object.keys(json).join() === 'field' && isText(json.field);
}

function isStep(step) {
  if (!isObject(step)) return false;
  return 'not' in step ? isObject(step.not) && !('event' in step) : fits(step, 'event', isTextOrTexts);
}
