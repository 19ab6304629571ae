// An eslint rule: what people read stands in the catalogue of texts, neither in a template nor in a string of code.
import { SAID, attributeBefore, isRead, runsOf } from './template-texts.js';

/** Words that are the same in every language, and words that no person reads. */
const NAMES =
  /^(Audience Manager|Ctrl K|JSON|NDJSON|URL|CSV|UTC|Alt|Alt D|D|English|Deutsch|Abc|https?:\S+)$/;
const KEYS = /^(Enter|Escape|Tab|Backspace|Delete|Home|End|Arrow\w+|Page\w+|Control|Shift|Meta)$/;
const LETTERS = /\p{L}{2}/u;
const MEDIA_TYPES = /^[\w.+-]+\/[\w.+-]+(, [\w.+-]+\/[\w.+-]+)*$/;
/** Two words, or one with a capital: so are texts, and not the names that code uses. */
const TEXT = /\p{L}{2,}[,.;:]? \p{L}|^\p{Lu}\p{Ll}+[.…]?$/u;
/** Functions whose argument is shown. */
const SHOWN_BY = new Set(['toast', 'useTitle']);

const isHtml = (node) => node.type === 'TaggedTemplateExpression' && node.tag.name === 'html';

/** True if the value of a part of an expression is a value of the whole. */
function passesOn(parent, node) {
  switch (parent.type) {
    case 'ConditionalExpression':
      return node !== parent.test;
    case 'LogicalExpression':
    case 'TemplateLiteral':
    case 'ArrayExpression':
      return true;
    case 'BinaryExpression':
      return parent.operator === '+';
    case 'ArrowFunctionExpression':
      return node === parent.body;
    default:
      return false;
  }
}

/** The strictness for the place of a string: 'shown', 'code', or undefined where nobody reads it. */
function placeOf(node) {
  let at = node;
  while (passesOn(at.parent, at)) {
    const { parent } = at;
    if (parent.type === 'TemplateLiteral' && isHtml(parent.parent)) {
      const before = parent.quasis.slice(0, parent.expressions.indexOf(at) + 1);
      const attribute = attributeBefore(before.map((quasi) => quasi.value.raw).join(''));
      return attribute === undefined || SAID.has(attribute) ? 'shown' : undefined;
    }
    at = parent;
  }
  const { parent } = at;
  if (parent.type === 'Property' && at === parent.value && SAID.has(parent.key.name)) return 'shown';
  // Names of classes, which a component is given by default or puts together.
  if (parent.type === 'AssignmentPattern' && parent.left.name === 'className') return undefined;
  if (parent.type === 'Property' && at === parent.key) return undefined;
  if (parent.type === 'CallExpression') return SHOWN_BY.has(parent.callee.name) ? 'shown' : undefined;
  if (parent.type === 'TaggedTemplateExpression' || parent.type === 'ImportDeclaration') return undefined;
  return 'code';
}

/** @type {import('eslint').Rule.RuleModule} */
export default {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: { literal: 'Put “{{text}}” into web/texts/en.js and de.js.' },
  },
  create(context) {
    const source = context.sourceCode.text;
    const report = (node, text) => context.report({ node, messageId: 'literal', data: { text } });
    const look = (node, text, place = placeOf(node)) => {
      const isName = NAMES.test(text) || (place === 'code' && (KEYS.test(text) || MEDIA_TYPES.test(text)));
      if (place === undefined || isName) return;
      if ((place === 'shown' ? LETTERS : TEXT).test(text)) report(node, text);
    };
    return {
      TaggedTemplateExpression(node) {
        if (!isHtml(node)) return;
        const { quasi } = node;
        for (const run of runsOf(quasi, source)) {
          const text = run.pieces
            .map((piece) => piece.text ?? '')
            .join('')
            .trim();
          if (isRead(run) && !NAMES.test(text)) report(quasi, text);
        }
      },
      Literal(node) {
        if (typeof node.value === 'string') look(node, node.value.trim());
      },
      TemplateLiteral(node) {
        if (node.parent.type === 'TaggedTemplateExpression') return;
        const place = placeOf(node);
        for (const quasi of node.quasis) look(node, quasi.value.raw.trim(), place);
      },
    };
  },
};
