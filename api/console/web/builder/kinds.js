// The kinds of conditions that can be added, each as it begins.
import { toNode } from '../rules/form.js';
import { t } from '../texts/texts.js';

export const KINDS = [
  {
    text: t('kinds.didSomething'),
    icon: 'event',
    make: () => ({ event: '', operator: 'gte', value: 1, within: '30d' }),
  },
  {
    text: t('kinds.didNotDoSomething'),
    icon: 'minus',
    make: () => ({ event: '', operator: 'eq', value: 0, within: '30d' }),
  },
  { text: t('kinds.hasATrait'), icon: 'trait', make: () => ({ field: '', operator: 'eq', value: '' }) },
  {
    text: t('kinds.didThingsInOrder'),
    icon: 'sequence',
    make: () => ({ sequence: [{ event: '' }, { event: '' }], within: '30d' }),
  },
  {
    text: t('kinds.didOneThingAndNotAnother'),
    icon: 'sequence',
    make: () => ({ sequence: [{ event: '' }, { not: { event: '' }, for: '1h' }], within: '30d' }),
  },
  {
    text: t('kinds.hasItsAnniversary'),
    icon: 'trait',
    make: () => ({ field: '', operator: 'anniversary', value: { to: 7, zone: 'user' } }),
  },
  {
    text: t('kinds.comparesTwoValues'),
    icon: 'compare',
    make: () => ({ left: { event: '' }, operator: 'gt', right: { event: '' } }),
  },
  { text: t('kinds.isInASegment'), icon: 'segments', make: () => ({ segment: '' }) },
  { text: t('kinds.isAmongTheTop'), icon: 'rank', make: () => ({ rank: { by: 'totalSpent' }, percent: 10 }) },
  {
    text: t('kinds.randomShare'),
    icon: 'sample',
    make: () => ({ sample: { salt: 'experiment-1', from: 0, to: 4999 } }),
  },
  { text: t('kinds.groupOfConditions'), icon: 'group', make: () => ({ logic: 'OR', conditions: [] }) },
];

export const ICONS = {
  event: 'event',
  trait: 'trait',
  sequence: 'sequence',
  compare: 'compare',
  segment: 'segments',
  rank: 'rank',
  sample: 'sample',
  group: 'group',
  unknown: 'info',
};

export const makeNode = (kind) => toNode(kind.make());
