// The kinds of conditions that can be added, each as it begins.
import { toNode } from '../rules/form.js';

export const KINDS = [
  {
    text: 'Did something',
    icon: 'event',
    make: () => ({ event: '', operator: 'gte', value: 1, within: '30d' }),
  },
  {
    text: 'Did not do something',
    icon: 'minus',
    make: () => ({ event: '', operator: 'eq', value: 0, within: '30d' }),
  },
  { text: 'Has a trait', icon: 'trait', make: () => ({ field: '', operator: 'eq', value: '' }) },
  {
    text: 'Did things in order',
    icon: 'sequence',
    make: () => ({ sequence: [{ event: '' }, { event: '' }], within: '30d' }),
  },
  { text: 'Is in a segment', icon: 'segments', make: () => ({ segment: '' }) },
  { text: 'Is among the top', icon: 'rank', make: () => ({ rank: { by: 'totalSpent' }, percent: 10 }) },
  {
    text: 'Random share',
    icon: 'sample',
    make: () => ({ sample: { salt: 'experiment-1', from: 0, to: 4999 } }),
  },
  { text: 'Group of conditions', icon: 'group', make: () => ({ logic: 'OR', conditions: [] }) },
];

export const ICONS = {
  event: 'event',
  trait: 'trait',
  sequence: 'sequence',
  segment: 'segments',
  rank: 'rank',
  sample: 'sample',
  group: 'group',
  unknown: 'info',
};

export const makeNode = (kind) => toNode(kind.make());
