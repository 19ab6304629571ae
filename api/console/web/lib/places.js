// The place of a fault in words: people know fields, not pointers.
import { t } from '../texts/texts.js';

const FIELDS = {
  rules: t('places.conditions'),
  definition: t('places.definition'),
  name: t('common.name'),
  id: t('places.id'),
  description: t('common.description'),
  tags: t('common.tags'),
  owner: t('common.owner'),
  note: t('places.note'),
  members: t('common.members'),
  segments: t('common.segments'),
  url: 'URL',
};

/** The field that a pointer is in, where it has a name for people. */
export const placeOf = (pointer) => FIELDS[pointer?.split('/')[1]] ?? '';
