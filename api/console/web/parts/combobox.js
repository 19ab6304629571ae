// A text field that suggests: any text may be typed, what is known is offered.
import { html, useEffect, useId, useRef, useState } from '../lib/html.js';

const SHOWN = 40;

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
  const wanted = typed ? String(value).toLowerCase() : '';
  const found = options.filter((option) => option.value.toLowerCase().includes(wanted));
  found.sort(
    (a, b) =>
      Number(b.value.toLowerCase().startsWith(wanted)) - Number(a.value.toLowerCase().startsWith(wanted)),
  );
  const shown = found.slice(0, SHOWN);
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
        onBlur=${() => {
          setOpen(false);
          onLeave?.();
        }}
        onKeyDown=${onKeyDown}
        onInput=${(event) => {
          setTyped(true);
          setOpen(true);
          setAt(-1);
          onChange(event.target.value);
        }}
      />
      ${isOpen &&
      html`
        <ul class="combobox-list" role="listbox" id=${list} aria-label=${label}>
          ${shown.map(
            (option, index) => html`
              <li
                key=${option.value}
                id="${list}-${index}"
                role="option"
                aria-selected=${String(index === at)}
                onPointerDown=${(event) => {
                  event.preventDefault();
                  choose(option);
                }}
              >
                <span class="cut">${option.value}</span>
                ${option.hint && html`<small>${option.hint}</small>`}
              </li>
            `,
          )}
        </ul>
      `}
    </span>
  `;
}
