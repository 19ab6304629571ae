// Changes of memberships in words.
import { t } from '../texts/texts.js';

/** Why a membership changed, where it was no event. */
export const causeText = (cause) => (cause && cause !== 'event' ? t(`cause.${cause}`) : '');
