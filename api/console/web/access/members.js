// Members and invitations.
import { html, useState } from '../lib/html.js';
import { acting } from '../lib/acting.js';
import { path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { confirm } from '../parts/dialog.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Listing } from '../parts/listing.js';
import { has, t } from '../texts/texts.js';
import { Once, wholeLink } from './once.js';

async function load(signal) {
  const [members, invitations, roles] = await Promise.all([
    read('/api/members', signal),
    read('/api/invitations', signal),
    read('/api/roles', signal),
  ]);
  return { members: members.items, invitations: invitations.items, roles: roles.items };
}

export function Members() {
  const { data, problem, reload } = useLoad(load, [], { every: 5000 });
  const [link, setLink] = useState('');
  if (!data)
    return problem ? html`<${ProblemBanner} problem=${problem} retry=${reload} />` : html`<${Loading} />`;
  const act = acting(reload, (answer) => answer?.link && setLink(wholeLink(answer.link)));
  return html`
    <div class="stack">
      ${may('member:write') && html`<${Invite} roles=${data.roles} act=${act} />`}
      ${data.members.length > 0
        ? html`<${MemberTable} members=${data.members} roles=${data.roles} act=${act} />`
        : html`<${Empty} icon="users" title=${t('access.nobodyIsAMember')}>${t('access.whileNobodyIs')}<//>`}
      ${data.invitations.length > 0 &&
      html`<${Invitations} items=${data.invitations} roles=${data.roles} act=${act} />`}
      ${link &&
      html`<${Once} title=${t('access.linkOfTheInvitation')} value=${link} onClose=${() => setLink('')} />`}
    </div>
  `;
}

function Roles({ roles, value, onChange, label }) {
  return html`
    <select
      class="select"
      aria-label=${label}
      value=${value}
      onChange=${(event) => onChange(event.target.value)}
    >
      ${roles.map((role) => html`<option value=${role.id} key=${role.id}>${roleText(role)}</option>`)}
    </select>
  `;
}

function Invite({ roles, act }) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState('marketing_admin');
  const submit = (event) => {
    event.preventDefault();
    act('POST', '/api/invitations', { email, role });
    setEmail('');
  };
  return html`
    <form class="row" onSubmit=${submit}>
      <input
        class="input"
        type="email"
        required
        placeholder=${t('access.email')}
        aria-label=${t('access.email')}
        value=${email}
        onInput=${(event) => setEmail(event.target.value)}
      />
      <${Roles} roles=${roles} value=${role} onChange=${setRole} label=${t('access.role')} />
      <button class="button primary" type="submit">${t('access.invite')}</button>
    </form>
  `;
}

async function keepOut(member, act) {
  const question = {
    title: t('access.keepOutName', { name: member.email }),
    text: t('access.theirSessionsEnd'),
    confirm: t('access.keepOut'),
    danger: true,
  };
  if (await confirm(question)) act('PATCH', path`/api/members/${member.id}`, { disabled: true });
}

/** The actions on a member. */
function Acts({ member, act }) {
  const own = path`/api/members/${member.id}`;
  const button = (text, run) => html`
    <button class="button small" type="button" onClick=${run}>${text}</button>
  `;
  return html`
    ${button(t('access.newPasswordLink'), () => act('POST', `${own}/reset`))}
    ${member.disabled
      ? button(t('access.letIn'), () => act('PATCH', own, { disabled: false }))
      : button(t('access.keepOut'), () => keepOut(member, act))}
  `;
}

/** A role in the language of the console; one that it does not know has the server's name. */
const roleText = ({ id, name }) => (has(`role.${id}`) ? t(`role.${id}`) : name);
const roleName = (roles, id) => roleText(roles.find((role) => role.id === id) ?? { id, name: id });
const provided = () => html`${' '}<span class="badge">${t('access.byProvider')}</span>`;

const keptOut = () => html`${' '}<span class="badge warn">${t('access.keptOut')}</span>`;

function MemberTable({ members, roles, act }) {
  const writes = may('member:write');
  const chooser = (member) => html`
    <${Roles}
      roles=${roles}
      value=${member.role}
      label=${t('access.roleOfName', { name: member.email })}
      onChange=${(role) => act('PATCH', path`/api/members/${member.id}`, { role })}
    />
  `;
  const columns = [
    {
      head: t('access.email'),
      cell: (member) => [member.email, member.disabled && keptOut(), member.provided && provided()],
    },
    {
      head: t('access.role'),
      cell: (member) => (writes ? chooser(member) : roleName(roles, member.role)),
    },
    {
      head: t('access.what'),
      tone: ['row'],
      cell: (member) => writes && html`<${Acts} member=${member} act=${act} />`,
    },
  ];
  return html`<${Listing} items=${members} columns=${columns} keyOf=${(one) => one.id} />`;
}

function Invitations({ items, roles, act }) {
  const withdraw = (one) => html`
    <button
      class="button small"
      type="button"
      onClick=${() => act('DELETE', path`/api/invitations/${one.id}`)}
    >
      ${t('access.withdraw')}
    </button>
  `;
  const columns = [
    { head: t('access.email'), cell: (one) => one.email ?? t('access.theFirstAdmin') },
    { head: t('access.role'), cell: (one) => roleName(roles, one.role) },
    { head: t('access.ends'), cell: (one) => relative(one.expiresAt) },
    { head: t('access.what'), cell: (one) => may('member:write') && withdraw(one) },
  ];
  return html`
    <h2>${t('access.invitations')}</h2>
    <${Listing} items=${items} columns=${columns} keyOf=${(one) => one.id} />
  `;
}
