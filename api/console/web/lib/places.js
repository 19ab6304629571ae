// The place of a fault in words: people know fields, not pointers.

const FIELDS = {
  rules: 'Conditions',
  definition: 'Definition',
  name: 'Name',
  id: 'Id',
  description: 'Description',
  tags: 'Tags',
  owner: 'Owner',
  note: 'Note',
  members: 'Members',
  segments: 'Segments',
  url: 'URL',
};

/** The field that a pointer is in, where it has a name for people. */
export const placeOf = (pointer) => FIELDS[pointer?.split('/')[1]] ?? '';
