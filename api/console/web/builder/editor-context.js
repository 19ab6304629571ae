// What every condition of the builder needs: the edits, the faults, what is suggested.
import { createContext } from '../lib/html.js';

/** @type {{edit: object, faults: object[], suggest: object, dragged: {current: string | undefined}}} */
export const Editor = createContext(undefined);
