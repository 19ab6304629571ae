// The rules as JSON, beside the form: either side follows the other.
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { parseJson } from '../rules/exact.js';
import { toast } from '../lib/toast.js';
import { t } from '../texts/texts.js';

const pretty = (rules) => (rules === undefined ? '' : JSON.stringify(rules, null, 2));

/** @param {{rules: any, onChange: (rules: any) => void, onBroken: (isBroken: boolean) => void}} given */
export function JsonPane({ rules, onChange, onBroken }) {
  const [text, setText] = useState(pretty(rules));
  const [wrong, setWrong] = useState('');
  const own = useRef(JSON.stringify(rules));
  useEffect(() => {
    const now = JSON.stringify(rules);
    // Text that came from here stays as it is typed.
    if (now === own.current) return;
    own.current = now;
    setText(pretty(rules));
    setWrong('');
    onBroken(false);
  }, [rules]);
  const edit = (event) => {
    const typed = event.target.value;
    setText(typed);
    try {
      const parsed = typed.trim() === '' ? undefined : parseJson(typed);
      own.current = JSON.stringify(parsed);
      setWrong('');
      onBroken(false);
      onChange(parsed);
    } catch (error) {
      setWrong(error.message);
      onBroken(true);
    }
  };
  const copy = () =>
    navigator.clipboard?.writeText(text).then(() => toast(t('jsonPane.copiedTheRulesAsJson')));
  return html`
    <section class="card json-pane" aria-label=${t('jsonPane.rulesAsJson')}>
      <div class="card-head">
        <h2>JSON</h2>
        <button type="button" class="button quiet small" onClick=${copy}>${t('jsonPane.copy')}</button>
      </div>
      <textarea
        class="mono"
        spellcheck=${false}
        aria-label=${t('jsonPane.rulesAsJson')}
        aria-invalid=${wrong ? 'true' : undefined}
        rows=${Math.max(8, Math.min(28, text.split('\n').length + 1))}
        value=${text}
        onInput=${edit}
        placeholder="{ }"
      ></textarea>
      ${wrong && html`<p class="json-wrong small" role="alert">${wrong}</p>`}
    </section>
  `;
}
