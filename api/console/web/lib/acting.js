// Something that is done by the API from a list, which then shows what became of it.
import { ask } from './api.js';
import { toastProblem } from './toast.js';

/**
 * A function that does something; a failure is told, a success asks for the list again.
 * @param {() => void} reload
 * @param {(data: any) => void} [onAnswer] hears what the server answers
 * @returns {(method: string, url: string, body?: any) => Promise<void>}
 */
export const acting = (reload, onAnswer) => async (method, url, body) => {
  try {
    const { data } = await ask(method, url, { body });
    onAnswer?.(data);
    reload();
  } catch (problem) {
    toastProblem(problem);
  }
};
