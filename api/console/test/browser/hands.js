// The two ways in which people use a page: by mouse, and by keyboard alone; and its words in their language.
import assert from 'node:assert/strict';
import { texts as de } from '../../web/texts/de.js';
import { texts as en } from '../../web/texts/en.js';

/** The texts of a locale: `say('common.cancel')`, with members where a text has some. */
export function speaker(locale) {
  const texts = locale.startsWith('de') ? de : en;
  return (key, members = {}) => {
    assert.ok(Object.hasOwn(texts, key), `there is no text ${key}`);
    const text = texts[key];
    return (text.other ?? text).replace(/\{(\w+)\}/g, (_, name) => String(members[name]));
  };
}

const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement);

function byMouse(page) {
  return {
    press: (locator) => locator.click(),
    item: (locator) => locator.click(),
    choose: (locator, value) => locator.selectOption(value),
    pick: (locator, label) => locator.selectOption({ label }),
    async type(locator, text) {
      await locator.click();
      await page.keyboard.press('Control+a');
      await page.keyboard.type(text);
    },
  };
}

function byKeyboard(page) {
  /** Goes from place to place until one has the focus; nothing is reached otherwise. */
  const reach = async (locator, key = 'Tab') => {
    await locator.waitFor();
    for (let left = 200; left > 0; left -= 1) {
      if (await hasFocus(locator)) return;
      await page.keyboard.press(key);
    }
    assert.fail(`${locator} is not reached by ${key}`);
  };
  return {
    async press(locator) {
      await reach(locator);
      await page.keyboard.press('Enter');
    },
    /** An item of a menu that is open. */
    async item(locator) {
      await reach(locator, 'ArrowDown');
      await page.keyboard.press('Enter');
    },
    async choose(locator, value) {
      await reach(locator);
      await page.keyboard.press('Home');
      for (let left = 60; left > 0; left -= 1) {
        if ((await locator.inputValue()) === value) return;
        await page.keyboard.press('ArrowDown');
      }
      assert.fail(`${locator} has no ${value}`);
    },
    /** The letters of an option go right to it, in a list that acts on each choice. */
    async pick(locator, label) {
      await reach(locator);
      await page.keyboard.type(label);
    },
    async type(locator, text) {
      await reach(locator);
      await page.keyboard.press('Control+a');
      await page.keyboard.type(text);
    },
  };
}

export const HANDS = { mouse: byMouse, keyboard: byKeyboard };
