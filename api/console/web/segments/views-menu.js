// The saved views: what is chosen of the list now, under a name.
import { html, useState } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { removeView, saveView, views } from '../lib/views.js';
import { Dialog } from '../parts/dialog.js';
import { Menu } from '../parts/menu.js';

function NameDialog({ onClose, onSave }) {
  const [name, setName] = useState('');
  const submit = (event) => {
    event.preventDefault();
    if (name.trim()) onSave(name.trim());
  };
  return html`
    <${Dialog}
      title="Save this view"
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" form="view" class="button primary" disabled=${!name.trim()}>Save</button>
      `}
    >
      <form id="view" class="stack" onSubmit=${submit}>
        <p class="soft">It keeps the words, the filters and the order of the list, in this browser.</p>
        <div class="field">
          <label for="view-name">Name</label>
          <input
            class="input"
            id="view-name"
            autofocus
            maxlength="60"
            value=${name}
            onInput=${(event) => setName(event.target.value)}
          />
        </div>
      </form>
    <//>
  `;
}

/** The menu of views; `query` is that of the list as it is now. */
export function ViewsMenu({ query }) {
  const all = useStore(views);
  const [isNaming, setNaming] = useState(false);
  const now = query.toString();
  const current = all.find((one) => one.query === now);
  const items = [
    ...all.map((one) => ({
      text: one.name,
      icon: one === current ? 'check' : 'filter',
      run: () => navigate(`/segments?${one.query}`),
    })),
    ...(all.length > 0 ? [null] : []),
    { text: 'Save this view…', icon: 'plus', run: () => setNaming(true) },
    ...(current
      ? [{ text: `Remove “${current.name}”`, icon: 'trash', run: () => removeView(current.name) }]
      : []),
  ];
  return html`
    <${Menu} label="Views" text=${current?.name ?? 'Views'} icon="filter" items=${items} quiet=${false} />
    ${isNaming &&
    html`
      <${NameDialog}
        onClose=${() => setNaming(false)}
        onSave=${(name) => {
          saveView(name, now);
          setNaming(false);
        }}
      />
    `}
  `;
}
