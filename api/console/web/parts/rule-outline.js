// Rules for reading: groups indented, each condition one line.
import { html } from '../lib/html.js';
import { outline } from '../rules/describe.js';
import { t } from '../texts/texts.js';

const WORDS = { AND: t('common.allOf'), OR: t('common.anyOf'), NOT: t('common.noneOf') };

function Branch({ node }) {
  if (!node.children) return html`<div>${node.text}</div>`;
  return html`
    <div class="group">
      <span class="logic">${WORDS[node.logic] ?? node.logic}</span>
      ${node.children.map((child) => html`<${Branch} node=${child} />`)}
    </div>
  `;
}

export function RuleOutline({ rules }) {
  if (rules === undefined || rules === null) return html`<p class="muted">${t('ruleOutline.noRules')}</p>`;
  return html`<div class="outline"><${Branch} node=${outline(rules)} /></div>`;
}
