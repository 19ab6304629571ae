// Name, description, tags and owner of a segment.
import { html, takeFocus, useState } from '../lib/html.js';
import { sentenceOf } from '../lib/sentences.js';
import { t } from '../texts/texts.js';

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
      ${wrong(member).map(
        (fault) => html`<span class="hint bad-text" role="alert">${sentenceOf(fault)}</span>`,
      )}
      ${options.hint && html`<span class="hint">${options.hint}</span>`}
    </div>
  `;
  return html`
    <section class="card" aria-label=${t('detailsForm.details')}>
      <div class="card-body details">
        <div class="details-first">
          ${field('name', t('common.name'), {
            placeholder: t('detailsForm.suchAsLapsingBigSpenders'),
            focus: isNew && !fields.name,
          })}
          ${isNew &&
          html`
            <div class="field">
              <label for="segment-type">${t('common.kind')}</label>
              <select class="select" id="segment-type" value=${fields.type} onChange=${set('type')}>
                <option value="DYNAMIC">${t('detailsForm.byRulesLive')}</option>
                <option value="STATIC">${t('common.staticList')}</option>
              </select>
            </div>
          `}
        </div>
        ${isOpen
          ? html`
              ${field('description', t('common.description'))}
              <div class="details-more">
                ${field('tags', t('common.tags'), { placeholder: t('detailsForm.separatedByCommas') })}
                ${field('owner', t('common.owner'))}
                ${isNew &&
                field('id', t('detailsForm.id'), { placeholder: t('detailsForm.madeFromTheName') })}
              </div>
            `
          : html`
              <button type="button" class="button quiet small" onClick=${() => setOpen(true)}>
                ${t('detailsForm.descriptionTagsOwner')}
              </button>
            `}
      </div>
    </section>
  `;
}
