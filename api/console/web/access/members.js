// Members and invitations.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';
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
  /** Does something, and shows the link that it gives, if it gives one. */
  const act = async (method, url, body) => {
    try {
      const answer = await ask(method, url, { body });
      if (answer.data?.link) setLink(wholeLink(answer.data.link));
      reload();
    } catch (fault) {
      toastProblem(fault);
    }
  };
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
      ${roles.map((role) => html`<option value=${role.id} key=${role.id}>${role.name}</option>`)}
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

function MemberTable({ members, roles, act }) {
  const disable = async (member) => {
    const question = {
      title: t('access.keepOutName', { name: member.email }),
      text: t('access.theirSessionsEnd'),
      confirm: t('access.keepOut'),
      danger: true,
    };
    if (await confirm(question)) act('PATCH', path`/api/members/${member.id}`, { disabled: true });
  };
  const writes = may('member:write');
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('access.email')}</th>
            <th scope="col">${t('access.role')}</th>
            <th scope="col">${t('access.what')}</th>
          </tr>
        </thead>
        <tbody>
          ${members.map(
            (member) => html`
              <tr key=${member.id}>
                <td>
                  ${member.email}
                  ${member.disabled && html`${' '}<span class="badge warn">${t('access.keptOut')}</span>`}
                </td>
                <td>
                  ${writes
                    ? html`
                        <${Roles}
                          roles=${roles}
                          value=${member.role}
                          label=${t('access.roleOfName', { name: member.email })}
                          onChange=${(role) => act('PATCH', path`/api/members/${member.id}`, { role })}
                        />
                      `
                    : (roles.find((role) => role.id === member.role)?.name ?? member.role)}
                </td>
                <td class="row">
                  ${writes &&
                  html`
                    <button
                      class="button small"
                      type="button"
                      onClick=${() => act('POST', path`/api/members/${member.id}/reset`)}
                    >
                      ${t('access.newPasswordLink')}
                    </button>
                    ${member.disabled
                      ? html`
                          <button
                            class="button small"
                            type="button"
                            onClick=${() =>
                              act('PATCH', path`/api/members/${member.id}`, { disabled: false })}
                          >
                            ${t('access.letIn')}
                          </button>
                        `
                      : html`
                          <button class="button small" type="button" onClick=${() => disable(member)}>
                            ${t('access.keepOut')}
                          </button>
                        `}
                  `}
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function Invitations({ items, roles, act }) {
  return html`
    <h2>${t('access.invitations')}</h2>
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('access.email')}</th>
            <th scope="col">${t('access.role')}</th>
            <th scope="col">${t('access.ends')}</th>
            <th scope="col">${t('access.what')}</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (one) => html`
              <tr key=${one.id}>
                <td>${one.email ?? t('access.theFirstAdmin')}</td>
                <td>${roles.find((role) => role.id === one.role)?.name ?? one.role}</td>
                <td>${relative(one.expiresAt)}</td>
                <td>
                  ${may('member:write') &&
                  html`
                    <button
                      class="button small"
                      type="button"
                      onClick=${() => act('DELETE', path`/api/invitations/${one.id}`)}
                    >
                      ${t('access.withdraw')}
                    </button>
                  `}
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
