// Snippets of a sender in a few languages, ready to be copied.

/** The event that the page sends, and that the snippets send. */
export const TEST_EVENT = { userId: 'test-user', eventType: 'test', properties: { from: 'console' } };

// A line that began with the word itself would be taken for an import of this file.
const IMPORT = 'import';
const EXAMPLE = `{"userId": "user123", "eventType": "purchase", "properties": {"amount": 49.90}}`;

/** The snippets for an address, each with the name of its language. */
export function snippets(base) {
  return [
    {
      id: 'curl',
      name: 'curl',
      text: `curl ${base}/api/events -H 'content-type: application/json' -d '${EXAMPLE}'`,
    },
    {
      id: 'browser',
      name: 'Browser',
      text: `<script>
  // Pages of another origin have to be allowed by the server.
  const event = ${EXAMPLE};
  fetch('${base}/api/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...event, messageId: crypto.randomUUID() }),
    keepalive: true,
  });
</script>`,
    },
    {
      id: 'node',
      name: 'Node',
      text: `// Sends in batches, tries again, and counts nothing twice; see clients/typescript.
${IMPORT} { EventSender } from '@audience-manager/client';

const sender = new EventSender({ baseUrl: '${base}' });
sender.send({ userId: 'user123', eventType: 'purchase', properties: { amount: 49.9 } });
await sender.close();`,
    },
    {
      id: 'python',
      name: 'Python',
      text: `# Sends in batches, tries again, and counts nothing twice; see clients/python.
from audience_manager import EventSender

with EventSender("${base}") as sender:
    sender.send({"userId": "user123", "eventType": "purchase", "properties": {"amount": 49.9}})`,
    },
  ];
}
