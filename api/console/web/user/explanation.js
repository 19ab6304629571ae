// Why a user is in a segment, or not: each condition with what was found, and when it will change by itself.
import { html, useState } from '../lib/html.js';
import { path, query, read } from '../lib/api.js';
import { count, dateTime, plain, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Loading, NotOffered, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Properties } from './properties.js';

const WORDS = { all: 'All of these', any: 'Any of these', not: 'None of these' };
const EVERY = 5000;

export function Explanation({ user, segment }) {
  const [at, setAt] = useState('');
  const instant = at ? `${at.length === 16 ? `${at}:00` : at}Z` : undefined;
  const { data, problem } = useLoad(
    (signal) => read(path`/api/users/${user}/segments/${segment}/explain` + query({ at: instant }), signal),
    [user, segment, instant],
    { every: instant ? undefined : EVERY },
  );
  if (problem?.isMissingPath) return html`<${NotOffered} what="An explanation" />`;
  return html`
    <div class="stack tight explanation">
      ${data &&
      html`
        <p>
          <${Answer} member=${data.member} />${' '}
          <span class="soft small">
            version ${data.version}, as of ${instant ? dateTime(data.at) : 'now'}
          </span>
          ${data.nextChangeAt &&
          html`
            <span class="small warn-text">
              ${' '}·${' '}
              ${data.mayChange
                ? 'may change by itself from'
                : `changes by itself ${relative(data.nextChangeAt)},`}${' '}
              ${dateTime(data.nextChangeAt)}
            </span>
          `}
        </p>
      `}
      ${data?.status &&
      data.status !== 'ACTIVE' &&
      html`
        <p class="small soft">
          The segment is ${data.status.toLowerCase()}: it has no members, whatever its rules say.
        </p>
      `}
      ${data?.inForce === false &&
      html`
        <p class="small soft">
          This version was not there yet at that instant: this is what it would have said.
        </p>
      `}
      <${ProblemBanner} problem=${problem} />
      ${!data && !problem && html`<${Loading} lines=${2} />`}
      ${data?.node && html`<ul class="explain"><${Verdict} node=${data.node} /></ul>`}
      <label class="row small muted">
        As of${' '}
        <input
          class="pill"
          type="datetime-local"
          step="1"
          value=${at}
          onChange=${(event) => setAt(event.target.value)}
        />${' '}
        UTC${' '}
        ${at &&
        html`<button type="button" class="button quiet small" onClick=${() => setAt('')}>Now</button>`}
      </label>
    </div>
  `;
}

function Answer({ member }) {
  if (member === undefined) return html`<span class="badge warn">Not known</span>`;
  return html`<span class="badge ${member ? 'good' : ''}">${member ? 'Member' : 'Not a member'}</span>`;
}

/** What a condition found, in words. */
function found(node) {
  const parts = [];
  if (node.missing) parts.push('nothing is known');
  else if (node.value !== undefined && node.value !== null) parts.push(`found ${plain(node.value)}`);
  if (node.place !== undefined)
    parts.push(
      `place ${count(node.place)} of ${count(node.ranked)}, the first ${count(node.limit)} are meant`,
    );
  if (node.events) parts.push(`${count(node.events.total)} ${node.events.total === 1 ? 'event' : 'events'}`);
  if (node.unknown) parts.push('history does not go back that far');
  if (node.nextChangeAt)
    parts.push(
      node.mayChange
        ? `the same until ${dateTime(node.nextChangeAt)} at least`
        : `changes by itself ${relative(node.nextChangeAt)}`,
    );
  return parts.join(' · ');
}

function Verdict({ node }) {
  const [open, setOpen] = useState(false);
  const events = node.events?.items ?? [];
  return html`
    <li>
      <div class="verdict">
        <span class="mark ${node.held ? 'yes' : 'no'}">
          <${Icon} name=${node.held === undefined ? 'info' : node.held ? 'check' : 'close'} />
        </span>
        <div>
          <div>
            <span class="visually-hidden">
              ${node.held === undefined ? 'Not known: ' : node.held ? 'Holds: ' : 'Does not hold: '}
            </span>
            ${WORDS[node.kind] ?? node.text}
            ${node.segmentId &&
            html`${' '}<a class="small" href="/segments/${encodeURIComponent(node.segmentId)}">open it</a>`}
          </div>
          ${found(node) &&
          html`
            <div class="found">
              ${found(node)}${' '}
              ${events.length > 0 &&
              html`
                <button
                  type="button"
                  class="button quiet small"
                  aria-expanded=${String(open)}
                  onClick=${() => setOpen(!open)}
                >
                  ${open ? 'Hide' : 'Show'} events
                </button>
              `}
            </div>
          `}
          ${open &&
          html`
            <ul class="evidence">
              ${events.map(
                (event) =>
                  html`
                    <li>
                      <time class="small muted number" datetime=${event.timestamp}>
                        ${dateTime(event.timestamp)}
                      </time>${' '}
                      <strong class="small">${event.eventType}</strong>${' '}
                      <${Properties} values=${event.properties} />
                    </li>
                  `,
              )}
              ${node.events.total > events.length &&
              html`<li class="small muted">and ${count(node.events.total - events.length)} more</li>`}
            </ul>
          `}
        </div>
      </div>
      ${node.children?.length > 0 &&
      html`<ul class="explain">${node.children.map((child) => html`<${Verdict} node=${child} />`)}</ul>`}
    </li>
  `;
}
