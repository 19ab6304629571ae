// Preact with htm: markup in template literals, no build step.
import { Fragment, createContext, h, render } from '../vendor/preact.mjs';
import * as hooks from '../vendor/hooks.mjs';
import htm from '../vendor/htm.mjs';

export const html = htm.bind(h);
/** As `ref` of a field: it has the focus once it is there. */
export const takeFocus = (element) => element?.focus();

/**
 * State that begins with nothing may become anything.
 * @type {{
 *   (first: undefined): [any, (next: any) => void],
 *   (first: never[]): [any[], (next: any) => void],
 *   <T>(first: T | (() => T)): [T, (next: T | ((before: T) => T)) => void],
 * }}
 */
export const useState = hooks.useState;
/** @type {{ (first: null | undefined): { current: any }, (first: never[]): { current: any[] }, <T>(first: T): { current: T } }} */
export const useRef = hooks.useRef;

export { Fragment, createContext, render };
export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo } from '../vendor/hooks.mjs';
