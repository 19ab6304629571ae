// A button with a list of things to do: arrow keys move, Escape closes.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { Icon } from './icon.js';

/** A menu whose `items` are {text, icon, keys, danger, run}, or null for a line between them. */
export function Menu({ label, items, icon = 'more', text, small, start, quiet = true }) {
  const [open, setOpen] = useState(false);
  const element = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    element.current.querySelector('[role="menuitem"]')?.focus();
    const onOutside = (event) => !element.current?.contains(event.target) && setOpen(false);
    document.addEventListener('pointerdown', onOutside);
    return () => document.removeEventListener('pointerdown', onOutside);
  }, [open]);
  const close = () => {
    setOpen(false);
    element.current?.querySelector('button')?.focus();
  };
  const onKeyDown = (event) => {
    if (!open) return;
    const all = [...element.current.querySelectorAll('[role="menuitem"]')];
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowDown: (at + 1) % all.length,
      ArrowUp: (at - 1 + all.length) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to !== undefined) all[to]?.focus();
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') return setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const choose = (item) => {
    close();
    item.run();
  };
  return html`
    <span class="menu" ref=${element} onKeyDown=${onKeyDown}>
      <button
        type="button"
        class="button ${quiet ? 'quiet' : ''} ${small ? 'small' : ''} ${text ? '' : 'icon-only'}"
        aria-haspopup="menu"
        aria-expanded=${String(open)}
        aria-label=${text ? undefined : label}
        onClick=${() => setOpen((isOpen) => !isOpen)}
      >
        <${Icon} name=${icon} />
        ${text}
      </button>
      ${open &&
      html`
        <div class="menu-list ${start ? 'start' : ''}" role="menu" aria-label=${label}>
          ${items.map((item) =>
            item === null
              ? html`<hr />`
              : html`
                  <button
                    type="button"
                    role="menuitem"
                    class=${item.danger ? 'danger' : ''}
                    tabindex="-1"
                    onClick=${() => choose(item)}
                  >
                    ${item.icon && html`<${Icon} name=${item.icon} />`}
                    ${item.text}
                    ${item.keys && html`<kbd>${item.keys}</kbd>`}
                  </button>
                `,
          )}
        </div>
      `}
    </span>
  `;
}
