// An eslint rule: what people read stands in the catalogue of texts, not in a template.
import { isRead, runsOf } from './template-texts.js';

/** Words that are the same in every language. */
const NAMES = /^(Audience Manager|Ctrl K|JSON|URL|CSV|UTC|Alt|D|https?:\S+)$/;

export default {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: { literal: 'Put “{{text}}” into web/texts/en.js and de.js.' },
  },
  create: (context) => ({
    TaggedTemplateExpression({ tag, quasi }) {
      if (tag.name !== 'html') return;
      for (const run of runsOf(quasi, context.sourceCode.text)) {
        const text = run.pieces
          .map((piece) => piece.text ?? '')
          .join('')
          .trim();
        if (isRead(run) && !NAMES.test(text))
          context.report({ node: quasi, messageId: 'literal', data: { text } });
      }
    },
  }),
};
