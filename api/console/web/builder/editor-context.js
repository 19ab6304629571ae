// The context of every condition in the builder: edits, faults, suggestions.
import { createContext } from '../lib/html.js';

export const Editor = createContext(/** @type {any} */ (undefined));
