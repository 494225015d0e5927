// Runs the audits that the `graphql-http` package publishes against a running server, and fails unless all are met:
// what the specification says a server MUST, SHOULD and MAY do.
//
// node graphql-http-audit.mjs http://localhost:8080/graphql

import { auditServer } from 'graphql-http';

const url = process.argv[2];
if (!url) {
  console.error('usage: node graphql-http-audit.mjs URL');
  process.exit(2);
}

const results = await auditServer({ url });
const missed = results.filter((result) => result.status !== 'ok');
for (const { id, name, status, reason } of missed) {
  console.error(`${status} ${id} ${name}: ${reason}`);
}
console.log(`${results.length - missed.length} of ${results.length} audits are met`);
process.exit(missed.length === 0 && results.length > 0 ? 0 : 1);
