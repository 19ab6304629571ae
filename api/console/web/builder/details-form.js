// Name, description, tags and owner of a segment.
import { html, takeFocus, useState } from '../lib/html.js';

export function DetailsForm({ fields, onChange, isNew, faults }) {
  const [isOpen, setOpen] = useState(isNew && Boolean(fields.description || fields.tags || fields.owner));
  const set = (member) => (event) => onChange({ ...fields, [member]: event.target.value });
  const wrong = (member) =>
    faults.filter((fault) => fault.pointer === `/${member}` || fault.pointer?.startsWith(`/${member}/`));
  const field = (member, label, options = {}) => html`
    <div class="field ${options.wide ? 'wide' : ''}">
      <label for="segment-${member}">${label}</label>
      <input
        class="input"
        id="segment-${member}"
        value=${fields[member]}
        maxlength=${options.max}
        placeholder=${options.placeholder}
        ref=${options.focus ? takeFocus : undefined}
        aria-invalid=${wrong(member).length > 0 ? 'true' : undefined}
        onInput=${set(member)}
      />
      ${wrong(member).map((fault) => html`<span class="hint bad-text" role="alert">${fault.message}</span>`)}
      ${options.hint && html`<span class="hint">${options.hint}</span>`}
    </div>
  `;
  return html`
    <section class="card" aria-label="Details">
      <div class="card-body details">
        <div class="details-first">
          ${field('name', 'Name', {
            placeholder: 'Such as: Lapsing big spenders',
            focus: isNew && !fields.name,
          })}
          ${isNew &&
          html`
            <div class="field">
              <label for="segment-type">Kind</label>
              <select class="select" id="segment-type" value=${fields.type} onChange=${set('type')}>
                <option value="DYNAMIC">By rules, live</option>
                <option value="STATIC">Static list</option>
              </select>
            </div>
          `}
        </div>
        ${isOpen
          ? html`
              ${field('description', 'Description')}
              <div class="details-more">
                ${field('tags', 'Tags', { placeholder: 'separated by commas' })}
                ${field('owner', 'Owner')}
                ${isNew && field('id', 'Id', { placeholder: 'made from the name' })}
              </div>
            `
          : html`
              <button type="button" class="button quiet small" onClick=${() => setOpen(true)}>
                Description, tags, owner…
              </button>
            `}
      </div>
    </section>
  `;
}
