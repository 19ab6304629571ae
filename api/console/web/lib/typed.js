// The text of a field while somebody types in it.
import { html, useEffect, useId, useState } from './html.js';
import { createStore } from './store.js';

/** The texts of fields that cannot be read yet, by field: what they belong to is not saved before they are mended. */
export const unreadable = createStore(/** @type {Record<string, string>} */ ({}));

function useUnreadable(refused) {
  const id = useId();
  useEffect(() => {
    if (refused === undefined) return undefined;
    unreadable.set({ ...unreadable.get(), [id]: refused });
    return () => {
      const { [id]: _, ...left } = unreadable.get();
      unreadable.set(left);
    };
  }, [id, refused]);
}

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * Keeps a text as it is typed until the field is left, whatever is drawn in between; the value follows each key. A text
 * that `read` refuses stays longer: until it is mended, or until the value is changed from elsewhere.
 * @param {object} field
 * @param {any} field.value
 * @param {(value: any) => string} field.write how the value is shown
 * @param {(text: string) => { value?: any, refused?: string }} field.read the value of a text, or why it has none
 * @param {(value: any) => void} field.onChange
 * @returns {{ text: string, refused: string | undefined, type: (text: string) => void, leave: () => void }} `refused` is
 *   set once the field was left
 */
export function useTyped({ value, write, read, onChange }) {
  const [typed, setTyped] = useState(undefined);
  const own = typed !== undefined && isSame(typed.value, value) ? typed : undefined;
  useUnreadable(own?.refused);
  const type = (text) => {
    const { value: next, refused } = read(text);
    if (refused !== undefined) return setTyped({ text, refused, value, isLeft: false });
    setTyped({ text, value: next });
    onChange(next);
  };
  const leave = () =>
    setTyped((before) => (before?.refused === undefined ? undefined : { ...before, isLeft: true }));
  return { text: own ? own.text : write(value), refused: own?.isLeft ? own.refused : undefined, type, leave };
}

/** Why a text could not be read, beside its field. */
export function Refusal({ text, id }) {
  return text === undefined ? null : html`<span class="refusal" role="alert" id=${id}>${text}</span>`;
}
