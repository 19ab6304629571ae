// The words for what was done, and to what.

/** Actions with the word and the tone of each. */
export const ACTIONS = {
  created: ['created', 'good'],
  updated: ['edited', 'accent'],
  activated: ['activated', 'good'],
  deactivated: ['deactivated', 'warn'],
  archived: ['archived', ''],
  rolledBack: ['rolled back', 'warn'],
  deleted: ['deleted', 'bad'],
  membersReplaced: ['replaced the members of', 'accent'],
  membersAdded: ['added members to', 'good'],
  membersRemoved: ['removed members from', 'warn'],
  erased: ['erased', 'bad'],
  paused: ['paused', 'warn'],
  resumed: ['resumed', 'good'],
  secretRotated: ['gave a new secret to', 'accent'],
};

export const KINDS = {
  segment: 'Segments',
  trait: 'Computed traits',
  members: 'Members',
  user: 'Users',
  webhook: 'Webhooks',
};
