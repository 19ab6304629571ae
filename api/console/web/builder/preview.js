// The exact effect of rules before they are saved: asked for while typing, broken off when typing goes on.
import { useEffect, useState } from '../lib/html.js';
import { Problem, author, headerText, reach } from '../lib/api.js';
import { pressEnded } from '../lib/press.js';
import { parseJson } from '../rules/exact.js';
import { rulesFaults } from '../rules/pointers.js';
import { t } from '../texts/texts.js';

const TYPING = 250; // milliseconds without a key before it is asked
const REFRESH = 4000;

/** Reads events of a stream as they come. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value.replaceAll('\r', '');
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const name = lines
        .find((line) => line.startsWith('event:'))
        ?.slice(6)
        .trim();
      const data = lines
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trim())
        .join('\n');
      if (name) yield { name, data: JSON.parse(data) };
    }
  }
}

/** Asks for a preview; `onProgress` hears of histories that are scanned. */
export async function askPreview(body, signal, onProgress) {
  const headers = {
    'content-type': 'application/json',
    accept: 'text/event-stream, application/problem+json',
    'x-author': headerText(author.get()),
  };
  const init = { method: 'POST', signal, body: JSON.stringify(body), headers };
  const response = await reach('/api/segments/preview', init, true);
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response.json();
  for await (const { name, data } of events(response)) {
    if (name === 'progress') onProgress(data);
    else if (name === 'result') return data;
    else if (name === 'problem') throw new Problem(data.status, data);
  }
  throw new Problem(0, { detail: t('preview.thePreviewWasBrokenOff') });
}

/**
 * @typedef {object} View
 * @property {'none' | 'asking' | 'done' | 'failed' | 'absent'} state
 * @property {any} [result] the last answer
 * @property {any} [progress] how much of the history is read
 * @property {any[]} faults
 * @property {Problem} [problem]
 * @property {boolean} isOld whether the result is of other rules than those of now
 */

/**
 * Follows rules.
 * @returns {View}
 */
export function usePreview(rules, id) {
  const [view, setView] = useState(
    /** @returns {View} */ () => ({ state: 'none', faults: [], isOld: false }),
  );
  const text = rules === undefined ? '' : JSON.stringify(rules);
  useEffect(() => {
    if (!text) {
      setView({ state: 'none', faults: [], isOld: false });
      return undefined;
    }
    const controller = new AbortController();
    let timer;
    setView((before) => ({ ...before, isOld: true }));
    const run = async () => {
      if (document.visibilityState !== 'visible') {
        timer = setTimeout(run, REFRESH);
        return;
      }
      setView((before) => ({ ...before, state: before.result ? before.state : 'asking' }));
      try {
        const onProgress = (progress) => setView((before) => ({ ...before, progress }));
        const result = await askPreview(
          { ...(id ? { id } : {}), rules: parseJson(text) },
          controller.signal,
          onProgress,
        );
        await pressEnded();
        if (controller.signal.aborted) return;
        setView({ state: 'done', result, faults: [], isOld: false });
        timer = setTimeout(run, Math.max(REFRESH, 20 * (result.tookMilliseconds ?? 0)));
      } catch (problem) {
        await pressEnded();
        if (controller.signal.aborted || problem.name === 'AbortError') return;
        if (problem.isMissingPath) return setView({ state: 'absent', faults: [], isOld: false });
        setView((before) => ({
          state: 'failed',
          result: before.result,
          problem,
          faults: rulesFaults(problem.errors ?? []),
          isOld: true,
        }));
        // Faulty rules stay so until they are edited.
        if (problem.status !== 400) timer = setTimeout(run, REFRESH);
      }
    };
    timer = setTimeout(run, TYPING);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text, id]);
  return view;
}
