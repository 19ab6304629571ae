// Why time alone changes the answer of a condition: a day of somebody ends, an anniversary comes, an event becomes too old.
import { zoneText } from '../rules/describe.js';
import { durationText, operatorName } from '../rules/grammar.js';
import { unitsBack, windowKind } from '../rules/windows.js';
import { t } from '../texts/texts.js';

function ofWindow(within) {
  if (unitsBack(within)) return t(`reason.end.${within.calendar}`) + zoneText(within.zone);
  if (windowKind(within) === 'last')
    return t('reason.olderThan', { duration: durationText(within.last ?? within) });
  return undefined;
}

function ofSequence({ sequence, within }, isHeld) {
  const { for: lasting } = sequence.at(-1);
  if (!isHeld && lasting !== undefined) return t('reason.lasted', { duration: durationText(lasting) });
  return ofWindow(within);
}

/**
 * The reason in words, where a condition has one alone.
 * @param {any} rule the condition
 * @param {boolean | undefined} isHeld whether it holds before
 * @returns {string | undefined}
 */
export function reasonOf(rule, isHeld) {
  if (Array.isArray(rule?.sequence)) return ofSequence(rule, isHeld);
  if (rule?.left && rule?.right) {
    const [left, right] = [rule.left, rule.right].map((side) => ofWindow(side.within));
    return left === right ? left : undefined;
  }
  const operator = operatorName(rule?.operator);
  if (rule?.field !== undefined && operator === 'anniversary') {
    const words = isHeld ? t('reason.anniversaryOver') : t('reason.anniversaryComes');
    return words + zoneText(rule.value?.zone);
  }
  if (rule?.field !== undefined && (operator === 'before' || operator === 'after'))
    return t('reason.timeComes');
  return rule?.event === undefined ? undefined : ofWindow(rule.within);
}
