// The words for what was done, and to what.
import { t } from '../texts/texts.js';

/** Actions with the word and the tone of each. */
export const ACTIONS = {
  created: [t('words.created'), 'good'],
  updated: [t('words.edited'), 'accent'],
  activated: [t('words.activated'), 'good'],
  deactivated: [t('words.deactivated'), 'warn'],
  archived: [t('words.archived'), ''],
  rolledBack: [t('words.rolledBack'), 'warn'],
  deleted: [t('words.deleted'), 'bad'],
  membersReplaced: [t('words.replacedTheMembersOf'), 'accent'],
  membersAdded: [t('words.addedMembersTo'), 'good'],
  membersRemoved: [t('words.removedMembersFrom'), 'warn'],
  erased: [t('words.erased'), 'bad'],
  exported: [t('words.exported'), 'accent'],
  paused: [t('words.paused'), 'warn'],
  resumed: [t('words.resumed'), 'good'],
  secretRotated: [t('words.gaveANewSecretTo'), 'accent'],
  signedIn: [t('words.signedIn'), 'good'],
  signedOut: [t('words.signedOut'), ''],
  refused: [t('words.wasRefused'), 'warn'],
  invited: [t('words.invited'), 'accent'],
  joined: [t('words.joined'), 'good'],
  passwordChanged: [t('words.changedThePasswordOf'), 'accent'],
  takenBack: [t('words.tookBack'), 'warn'],
};

export const KINDS = {
  segment: t('common.segments'),
  trait: t('common.traits'),
  members: t('common.members'),
  user: t('common.users'),
  webhook: t('common.webhooks'),
  member: t('access.members'),
  key: t('access.keys'),
  session: t('access.sessions'),
  invitation: t('access.invitations'),
  route: t('words.requests'),
  label: t('words.labels'),
  currency: t('words.currency'),
  time: t('words.time'),
  setting: t('words.settings'),
};

/** What a single change was done to. */
export const THINGS = {
  segment: t('words.segment'),
  trait: t('common.traitLower'),
  members: t('words.list'),
  user: t('words.user'),
  webhook: t('words.webhook'),
  member: t('words.member'),
  key: t('words.key'),
  session: t('words.session'),
  invitation: t('words.invitation'),
  route: t('words.request'),
  label: t('words.label'),
  currency: t('words.currencyLower'),
  time: t('words.timeLower'),
  setting: t('words.setting'),
};
