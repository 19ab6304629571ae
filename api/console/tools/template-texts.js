// The texts that people read in an html`…` template: between tags, and in attributes.

/** The begin and the end of a quasi's text in the source. */
const rangeOf = (quasi) => [quasi.range[0] + 1, quasi.range[1] - (quasi.tail ? 1 : 2)];

/**
 * The runs of a template: each a list of texts and expressions that stand together between tags, or in one attribute.
 * @param {any} template a TemplateLiteral with ranges
 * @param {string} source
 * @returns {{ attribute?: string, pieces: { text?: string, start: number, end: number, expression?: any }[] }[]}
 */
export function runsOf(template, source) {
  const runs = [];
  let pieces = [];
  let state = 'text';
  let attribute = '';
  const flush = () => {
    if (pieces.length > 0) runs.push({ attribute: state === 'quoted' ? attribute : undefined, pieces });
    pieces = [];
  };
  const put = (start, end) => end > start && pieces.push({ text: source.slice(start, end), start, end });
  template.quasis.forEach((quasi, index) => {
    const [first, end] = rangeOf(quasi);
    let start = first;
    for (let at = first; at < end; at += 1) {
      const letter = source[at];
      if (state === 'text' && letter === '<') {
        put(start, at);
        flush();
        state = 'tag';
      } else if (state === 'tag' && letter === '>') {
        state = 'text';
        start = at + 1;
      } else if (state === 'tag' && letter === '"') {
        attribute = /([\w-]+)=$/.exec(source.slice(first, at))?.[1] ?? '';
        state = 'quoted';
        start = at + 1;
      } else if (state === 'quoted' && letter === '"') {
        put(start, at);
        flush();
        state = 'tag';
      }
    }
    if (state !== 'tag') put(start, end);
    const expression = template.expressions[index];
    if (expression && state !== 'tag')
      pieces.push({ expression, start: expression.range[0], end: expression.range[1] });
  });
  flush();
  return runs;
}

const WORDS = /\p{L}{2}/u;

/** Attributes, and members of an object, that a person reads. */
export const SAID = new Set([
  'label',
  'title',
  'placeholder',
  'aria-label',
  'alt',
  'text',
  'under',
  'hint',
  'what',
  'all',
  'suffix',
  'empty',
  'confirm',
]);

/** The attribute whose value begins or goes on where this text of a template ends. */
export function attributeBefore(text) {
  const tag = text.slice(text.lastIndexOf('>') + 1);
  return /([\w-]+)=("[^"]*)?$/.exec(tag)?.[1];
}

/**
 * True if a run has words that a person reads.
 * @param {{ attribute?: string, pieces: { text?: string }[] }} run
 */
export const isRead = ({ attribute, pieces }) =>
  (attribute === undefined || SAID.has(attribute)) &&
  pieces.some(({ text }) => text !== undefined && WORDS.test(text));
