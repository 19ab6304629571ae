// Preact with htm: markup in template literals, no build step.
import { Fragment, createContext, h, render } from '../vendor/preact.mjs';
import htm from '../vendor/htm.mjs';

export const html = htm.bind(h);
/** As `ref` of a field: it has the focus once it is there. */
export const takeFocus = (element) => element?.focus();

export { Fragment, createContext, render };
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.mjs';
