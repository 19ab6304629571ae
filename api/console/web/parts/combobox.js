// A text field that suggests: any text may be typed, what is known is offered.
import { html, useEffect, useId, useRef, useState } from '../lib/html.js';

const SHOWN = 40;

/** The options that hold what was typed; those that begin with it come first. */
function fitting(options, typed) {
  const wanted = typed.toLowerCase();
  const begins = (option) => Number(option.value.toLowerCase().startsWith(wanted));
  return options
    .filter((option) => option.value.toLowerCase().includes(wanted))
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
            <span class="cut">${option.value}</span>
            ${option.hint && html`<small>${option.hint}</small>`}
          </li>
        `,
      )}
    </ul>
  `;
}

/** A field whose `options` are {value, hint}; `onChange` has what is typed or chosen. */
export function Combobox({
  value,
  options,
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
  const leave = () => {
    setOpen(false);
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
        value=${value}
        size=${Math.max(6, Math.min(34, String(value || placeholder || '').length))}
        onFocus=${show}
        onClick=${() => !open && show()}
        onBlur=${leave}
        onKeyDown=${onKeyDown}
        onInput=${type}
      />
      ${isOpen && html`<${Options} id=${list} label=${label} options=${shown} at=${at} onChoose=${choose} />`}
    </span>
  `;
}
