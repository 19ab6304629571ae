// A text field that suggests: any text may be typed, what is known is offered.
import { labelOf } from '../lib/vocabulary.js';
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from '../lib/html.js';

const SHOWN = 40;

/** An option with what people call it, if they do. */
const named = (option) => ({
  ...option,
  label: (option.kind && labelOf(option.kind, option.value)?.displayName) || option.label,
});

/** The text that an option is found by: its value and its label. */
const wordsOf = (option) => [option.value, option.label ?? ''].map((text) => text.toLowerCase());

/** The label of a value's option. */
const labelAt = (options, value) => options.find((option) => option.value === value)?.label;

/** The text of a field: what people call its value, and the value itself while somebody types in it. */
function useCalled(input, options, value) {
  const [isIn, setIn] = useState(false);
  const label = labelAt(options, value);
  // Another text stands in the field then: what is typed replaces it, as it would have replaced the one before.
  useLayoutEffect(() => {
    if (isIn && label) input.current.select();
  }, [isIn]);
  return { called: isIn ? value : (label ?? value), setIn };
}

/** The option that people call so; what people call a thing means the thing. */
function meantBy(options, text) {
  if (options.some((option) => option.value === text)) return undefined;
  return options.find((option) => option.label?.toLowerCase() === text.trim().toLowerCase());
}

/** The options that hold what was typed; those that begin with it come first. */
function fitting(options, typed) {
  const wanted = typed.toLowerCase();
  const begins = (option) => Number(wordsOf(option).some((text) => text.startsWith(wanted)));
  return options
    .filter((option) => wordsOf(option).some((text) => text.includes(wanted)))
    .sort((a, b) => begins(b) - begins(a))
    .slice(0, SHOWN);
}

function Options({ id, label, options, at, onChoose }) {
  return html`
    <ul class="combobox-list" role="listbox" id=${id} aria-label=${label}>
      ${options.map(
        (option, index) => html`
          <li
            key=${option.value}
            id="${id}-${index}"
            role="option"
            aria-selected=${String(index === at)}
            onPointerDown=${(event) => {
              event.preventDefault();
              onChoose(option);
            }}
          >
            <span class="cut">${option.label ?? option.value}</span>
            ${(option.hint || option.label) &&
            html`<small>${[option.label && option.value, option.hint].filter(Boolean).join(' · ')}</small>`}
          </li>
        `,
      )}
    </ul>
  `;
}

/**
 * A field whose `options` are {value, hint, kind}; `onChange` has what is typed or chosen. Where people call an option of its
 * kind otherwise, the field shows that while nobody types in it.
 */
export function Combobox({
  value,
  options: given,
  label,
  onChange,
  placeholder,
  invalid,
  className = 'pill',
  id,
  autofocus,
  describedBy,
  onLeave,
}) {
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [typed, setTyped] = useState(false);
  const list = useId();
  const input = useRef(null);
  useEffect(() => {
    if (autofocus) input.current.focus();
  }, []);
  const options = given.map(named);
  const { called, setIn } = useCalled(input, options, value);
  const shown = fitting(options, typed ? String(value) : '');
  const isOpen = open && shown.length > 0;
  const show = () => {
    setTyped(false);
    setAt(-1);
    setOpen(true);
  };
  const choose = (option) => {
    onChange(option.value);
    setOpen(false);
  };
  const onKeyDown = (event) => {
    if (event.altKey) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!isOpen) return show();
      const step = event.key === 'ArrowDown' ? 1 : -1;
      const next = (at + step + shown.length) % shown.length;
      setAt(next);
      document.getElementById(`${list}-${next}`)?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter' && isOpen && at >= 0) {
      event.preventDefault();
      choose(shown[at]);
    } else if (event.key === 'Escape' && isOpen) {
      event.stopPropagation();
      setOpen(false);
    }
  };
  const type = (event) => {
    setTyped(true);
    setOpen(true);
    setAt(-1);
    onChange(event.target.value);
  };
  const enter = () => {
    setIn(true);
    show();
  };
  const leave = () => {
    setIn(false);
    setOpen(false);
    const meant = typed && meantBy(options, String(value));
    if (meant) onChange(meant.value);
    onLeave?.();
  };
  return html`
    <span class="combobox">
      <input
        ref=${input}
        id=${id}
        class=${className}
        role="combobox"
        aria-label=${label}
        aria-expanded=${String(isOpen)}
        aria-controls=${isOpen ? list : undefined}
        aria-autocomplete="list"
        aria-activedescendant=${isOpen && at >= 0 ? `${list}-${at}` : undefined}
        aria-invalid=${invalid ? 'true' : undefined}
        aria-describedby=${describedBy}
        autocomplete="off"
        spellcheck=${false}
        placeholder=${placeholder}
        value=${called}
        title=${called === value ? undefined : value}
        size=${Math.max(6, Math.min(34, String(called || placeholder || '').length))}
        onFocus=${enter}
        onClick=${() => !open && show()}
        onBlur=${leave}
        onKeyDown=${onKeyDown}
        onInput=${type}
      />
      ${isOpen && html`<${Options} id=${list} label=${label} options=${shown} at=${at} onChoose=${choose} />`}
    </span>
  `;
}
