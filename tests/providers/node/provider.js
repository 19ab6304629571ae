// The certified provider as it is published, with three people: node provider.js PORT SECRET BACK OUT
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, secret, back, out] = process.argv.slice(2);
const GROUPS = { ann: ['admins'], bob: ['staff'], eve: ['guests'] };
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: 'audience',
      client_secret: secret,
      redirect_uris: [back],
      post_logout_redirect_uris: [out],
      response_types: ['code'],
      grant_types: ['authorization_code'],
    },
  ],
  jwks: { keys: [{ ...key, kid: `${process.pid}`, use: 'sig', alg: 'RS256' }] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.org`,
      email_verified: true,
      name: id,
      groups: GROUPS[id],
    }),
  }),
  cookies: { keys: [secret] },
});
provider.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
