// The saved views: what is chosen of the list now, under a name.
import { html, useState } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { removeView, saveView, views } from '../lib/views.js';
import { Dialog } from '../parts/dialog.js';
import { Menu } from '../parts/menu.js';
import { t } from '../texts/texts.js';

function NameDialog({ onClose, onSave }) {
  const [name, setName] = useState('');
  const submit = (event) => {
    event.preventDefault();
    if (name.trim()) onSave(name.trim());
  };
  return html`
    <${Dialog}
      title=${t('viewsMenu.saveThisView')}
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>${t('common.cancel')}</button>
        <button type="submit" form="view" class="button primary" disabled=${!name.trim()}>
          ${t('common.save')}
        </button>
      `}
    >
      <form id="view" class="stack" onSubmit=${submit}>
        <p class="soft">${t('viewsMenu.itKeepsTheWordsTheFilters')}</p>
        <div class="field">
          <label for="view-name">${t('common.name')}</label>
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
    { text: t('viewsMenu.saveThisView2'), icon: 'plus', run: () => setNaming(true) },
    ...(current
      ? [
          {
            text: t('viewsMenu.removeName', { name: current.name }),
            icon: 'trash',
            run: () => removeView(current.name),
          },
        ]
      : []),
  ];
  return html`
    <${Menu}
      label=${t('viewsMenu.views')}
      text=${current?.name ?? t('viewsMenu.views')}
      icon="filter"
      items=${items}
      quiet=${false}
    />
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
