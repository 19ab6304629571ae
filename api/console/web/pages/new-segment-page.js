// The beginning of a new segment: nothing, or a template.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { useStore } from '../lib/store.js';
import { unreadable } from '../lib/typed.js';
import { describe } from '../rules/describe.js';
import { categoryText, defaultsOf, parameterText, templateWords } from '../rules/templates.js';
import { DurationField } from '../builder/duration-field.js';
import { Dialog } from '../parts/dialog.js';
import { Loading, ProblemBanner } from '../parts/feedback.js';
import { NumberField } from '../parts/number-field.js';
import { useTitle } from '../parts/shell.js';
import { NewPage } from './builder-page.js';
import { t } from '../texts/texts.js';

export function NewSegmentPage({ query }) {
  useTitle(t('common.newSegment'));
  const [start, setStart] = useState(undefined);
  const [chosen, setChosen] = useState(undefined);
  const copied = query.get('copy');
  const { data, problem } = useLoad(
    async (signal) => {
      if (!copied) return { templates: (await read('/api/templates', signal)).items };
      const { name, description, rules, tags } = await read(path`/api/segments/${copied}`, signal);
      return {
        start: {
          fields: {
            name: t('newSegment.nameCopy', { name }),
            description: description ?? '',
            tags: (tags ?? []).join(', '),
          },
          rules,
        },
      };
    },
    [copied],
  );
  if (start || data?.start) return html`<${NewPage} start=${start ?? data.start} />`;
  if (query.get('blank') || problem?.isMissingPath) return html`<${NewPage} />`;
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <nav class="crumbs" aria-label=${t('common.wayBack')}>
            <a href="/segments">${t('common.segments')}</a>
          </nav>
          <h1>${t('common.newSegment')}</h1>
          <p class="lead">${t('newSegment.beginWithNothingOrWithOne')}</p>
        </div>
      </header>
      <${ProblemBanner} problem=${problem} />
      ${!data && !problem && html`<${Loading} />`}
      <div class="gallery">
        <button type="button" class="template" onClick=${() => setStart({})}>
          <span class="kind">${t('newSegment.fromScratch')}</span>
          <h2>${t('newSegment.blankSegment')}</h2>
          <p>${t('newSegment.conditionsOfYourOwnEventsTraits')}</p>
        </button>
        ${(data?.templates ?? []).map(
          (template) => html`
            <${Card} key=${template.id} template=${template} onChoose=${() => setChosen(template)} />
          `,
        )}
      </div>
      ${chosen &&
      html`<${Parameters} template=${chosen} onClose=${() => setChosen(undefined)} onDone=${setStart} />`}
    </div>
  `;
}

/** A template in the gallery. */
function Card({ template, onChoose }) {
  const { name, description } = templateWords(template, defaultsOf(template), template);
  return html`
    <button type="button" class="template" onClick=${onChoose}>
      <span class="kind">${categoryText(template.category)}</span>
      <h2>${name}</h2>
      <p>${description || describe(template.example)}</p>
    </button>
  `;
}

/** The parameters of a template, asked for before it is opened in the builder. */
function Parameters({ template, onClose, onDone }) {
  const [values, setValues] = useState(() => defaultsOf(template));
  const words = templateWords(template, values, template);
  const [problem, setProblem] = useState(undefined);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { data } = await ask('POST', path`/api/templates/${template.id}`, {
        body: { parameters: values },
      });
      onDone({ fields: templateWords(template, values, data), rules: data.rules });
    } catch (failed) {
      setProblem(failed);
    }
  };
  const isUnread = Object.keys(useStore(unreadable)).length > 0;
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  return html`
    <${Dialog}
      title=${words.name}
      onClose=${onClose}
      foot=${html`
        <button type="button" class="button" onClick=${onClose}>${t('common.cancel')}</button>
        <button type="submit" form="template" class="button primary" disabled=${isUnread}>
          ${t('newSegment.openInTheBuilder')}
        </button>
      `}
    >
      <form id="template" class="stack" onSubmit=${submit}>
        <p class="soft">${words.description}</p>
        <${ProblemBanner} problem=${problem} />
        ${template.parameters.map(
          (one, index) => html`
            <${Parameter}
              key=${one.name}
              parameter=${one}
              title=${parameterText(template, one)}
              value=${values[one.name]}
              autofocus=${index === 0}
              onChange=${set(one.name)}
            />
          `,
        )}
      </form>
    <//>
  `;
}

/** One parameter, in a field of its type. */
function Parameter({ parameter, title, value, autofocus, onChange }) {
  const { name, type, minimum, maximum } = parameter;
  const id = `parameter-${name}`;
  const field = () => {
    if (type === 'duration')
      return html`<${DurationField} value=${value} label=${title} onChange=${onChange} />`;
    if (type === 'number' || type === 'integer') {
      return html`
        <${NumberField}
          className="input"
          id=${id}
          autofocus=${autofocus}
          value=${value}
          minimum=${minimum}
          maximum=${maximum}
          isWhole=${type === 'integer'}
          onChange=${onChange}
        />
      `;
    }
    return html`
      <input
        class="input"
        id=${id}
        autofocus=${autofocus}
        required
        value=${value}
        onInput=${(event) => onChange(event.target.value)}
      />
    `;
  };
  return html`
    <div class="field">
      ${type === 'duration'
        ? html`<span class="label">${title}</span>`
        : html`<label for=${id}>${title}</label>`}
      ${field()}
    </div>
  `;
}
