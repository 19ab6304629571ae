// The currency of amounts: chosen once for the platform.
import { html } from '../lib/html.js';
import { locale } from '../lib/settings.js';
import { useStore } from '../lib/store.js';
import { toast, toastProblem } from '../lib/toast.js';
import { currencySign, setCurrency, vocabulary } from '../lib/vocabulary.js';
import { t } from '../texts/texts.js';

/** Those that most platforms have first, then all others by their code. */
const USUAL = ['EUR', 'USD', 'GBP', 'CHF'];
const CODES = [...new Set([...USUAL, ...Intl.supportedValuesOf('currency')])];

/** A currency by its code, its name and its sign. */
function nameOfCurrency(code) {
  const name = new Intl.DisplayNames([locale.get()], { type: 'currency' }).of(code) ?? code;
  const sign = currencySign(code);
  return `${code} – ${name}${sign === code ? '' : ` (${sign})`}`;
}

export function CurrencyCard() {
  const { currency } = useStore(vocabulary);
  const choose = async (event) => {
    const code = event.target.value;
    try {
      await setCurrency(code);
      toast(code ? t('currency.saved', { code }) : t('currency.cleared'));
    } catch (problem) {
      toastProblem(problem);
    }
  };
  return html`
    <section class="card" aria-label=${t('currency.title')}>
      <div class="card-head">
        <h2>${t('currency.title')}</h2>
        <select
          class="select narrow-max"
          aria-label=${t('currency.currency')}
          value=${currency?.code ?? ''}
          onChange=${choose}
        >
          <option value="">${t('currency.none')}</option>
          ${CODES.map((code) => html`<option value=${code} data-code>${nameOfCurrency(code)}</option>`)}
        </select>
      </div>
      <p class="card-body small soft">
        ${t('currency.amountsShow')}${' '}
        ${currency && t('currency.amountsAre', { amounts: currency.amounts.join(', ') })}
      </p>
    </section>
  `;
}
