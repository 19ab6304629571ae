// What every condition of the builder needs: the edits, the faults, what is suggested.
import { createContext } from '../lib/html.js';

export const Editor = createContext(/** @type {any} */ (undefined));
