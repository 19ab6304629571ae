// A prettier plugin for htm: lays out html`…` templates, which prettier itself leaves as they are.
//
// htm drops white space that holds a newline where text begins or ends, and keeps all other. So a line is broken only
// where htm sees no difference, and a space that must stay at the end of a line is written as ${' '}.
import { doc } from 'prettier';
import * as estree from 'prettier/plugins/estree';

const { fill, group, ifBreak, indent, line, softline } = doc.builders;
const own = estree.printers.estree;

/** The placeholder of expression `index` in the joined text of a template. */
const placeholder = (index) => `\uE000${index}\uE001`;
const PLACEHOLDER = /\uE000(\d+)\uE001/;
const SPACE = Symbol('a space that must stay');

class SyntaxFault extends Error {}

/** Reads the joined text of a template as a tree of {tag, attributes, children, close}, {word}, {expression}, SPACE. */
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found?.[0];
  }

  children() {
    const all = [];
    while (this.at < this.text.length && !this.text.startsWith('</', this.at)) {
      if (this.text.startsWith('<!--', this.at)) throw new SyntaxFault('comments are not laid out');
      if (this.text[this.at] === '<') all.push(this.element());
      else if (this.text[this.at] === '\uE000')
        all.push({ expression: Number(this.take(/\uE000\d+\uE001/y)?.slice(1, -1)) });
      else this.words(this.take(/[^<\uE000]+/y), all);
    }
    return all;
  }

  /** The words of a text; of white space only what htm keeps. */
  words(text, all) {
    const kept = text.replace(/^\s*\n\s*|\s*\n\s*$/g, '');
    if (kept === '') return;
    if (/^\s/.test(kept)) all.push(SPACE);
    const words = kept.trim().split(/\s+/).filter(Boolean);
    words.forEach((word, index) => all.push({ word, isFirst: index === 0 }));
    if (words.length > 0 && /\s$/.test(kept)) all.push(SPACE);
  }

  element() {
    this.take(/</y);
    const tag = this.take(/\uE000\d+\uE001|[\w-]+/y);
    if (!tag) throw new SyntaxFault(`no tag at ${this.text.slice(this.at, this.at + 20)}`);
    const attributes = [];
    for (;;) {
      this.take(/\s+/y);
      if (this.take(/\/>/y)) return { tag, attributes };
      if (this.take(/>/y)) break;
      const attribute = this.take(/[^\s>/="]+(=("[^"]*"|'[^']*'|[^\s>]*?(?=\s|>|\/>)))?/y);
      if (!attribute) throw new SyntaxFault(`no attribute at ${this.text.slice(this.at, this.at + 20)}`);
      attributes.push(attribute);
    }
    const children = this.children();
    const close = this.take(/<\/[^>]*>/y);
    if (!close) throw new SyntaxFault(`<${tag}> is not closed`);
    return { tag, attributes, children, close: close.replace(/\s/g, '') };
  }
}

/** True if an expression is the space that was written to stay. */
const isSpace = (node) => node.type === 'StringLiteral' && node.value === ' ';
const keptSpace = ifBreak(["${' '}", softline], ' ');

/** The text between two neighbours. */
function between(before, after) {
  if (before.word !== undefined && after.word !== undefined && !after.isFirst) return line;
  return softline;
}

function printTree(tree, expressions) {
  const text = (raw) =>
    raw.split(/(\uE000\d+\uE001)/).map((part) => {
      const found = PLACEHOLDER.exec(part);
      return found ? expressions[Number(found[1])] : part;
    });
  const list = (nodes) => {
    const parts = [];
    let last;
    let pending = false;
    for (const node of nodes) {
      if (node === SPACE) {
        if (last === undefined) parts.push("${' '}");
        else pending = true;
        last ??= SPACE;
        continue;
      }
      if (last !== undefined) parts.push(pending ? keptSpace : between(last, node));
      pending = false;
      parts.push(print(node));
      last = node;
    }
    if (pending) parts.push(softline, "${' '}");
    const isProse = nodes.some((node) => node.word !== undefined);
    return isProse ? fill(parts) : parts;
  };
  const print = (node) => {
    if (node.word !== undefined) return node.word;
    if (node.expression !== undefined) return expressions[node.expression];
    const tag = text(node.tag);
    const attributes = node.attributes.map((attribute) => text(attribute));
    const head = (end) => group(['<', tag, indent(attributes.map((attribute) => [line, attribute])), ...end]);
    if (!node.children) return head([line, '/>']);
    const open = head(attributes.length > 0 ? [softline, '>'] : ['>']);
    if (node.children.length === 0) return [open, text(node.close)];
    return group([open, indent([softline, list(node.children)]), softline, text(node.close)]);
  };
  return list(tree);
}

function printTemplate(path, options, print) {
  const { quasi } = path.node;
  const raw = quasi.quasis.map((part) => part.value.raw);
  const joined = raw.reduce((text, part, index) => {
    const before = quasi.expressions[index - 1];
    return `${text}${isSpace(before) ? '\uE002' : placeholder(index - 1)}${part}`;
  });
  // A written space is one, whatever stands around it.
  const reader = new Reader(joined.replace(/\s*\n\s*\uE002|\uE002\s*\n\s*|\uE002/g, ' '));
  const tree = reader.children();
  if (reader.at < reader.text.length)
    throw new SyntaxFault(`closed too often: ${reader.text.slice(reader.at, reader.at + 20)}`);
  const expressions = path.call((inner) => inner.map(() => ['${', print(), '}'], 'expressions'), 'quasi');
  return group(['html`', indent([softline, printTree(tree, expressions)]), softline, '`']);
}

const isTemplate = (node) => node.type === 'TaggedTemplateExpression' && node.tag.name === 'html';

export const printers = {
  estree: {
    ...own,
    print(path, options, print, args) {
      if (!isTemplate(path.node)) return own.print(path, options, print, args);
      return printTemplate(path, options, print);
    },
    embed(path, options) {
      return isTemplate(path.node) ? undefined : own.embed?.(path, options);
    },
  },
};
