// Rapport in a federation: starts the neighbour, composes both subgraphs with Apollo's composition, starts Apollo's
// gateway before them, sends it one query, and prints what came back.
//
// node gateway.mjs RAPPORT TOKEN REQUEST BOOKS
//
// RAPPORT is the address of Rapport's endpoint, TOKEN the caller's access token, which the gateway passes on, REQUEST a
// GraphQL request as JSON, and BOOKS what the neighbour knows, as JSON: `invoices`, and `points` by a customer's key.

import { readFile } from 'node:fs/promises';

import { composeServices } from '@apollo/composition';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';

const [rapport, token, request, books] = process.argv.slice(2);
if (!books) {
  console.error('usage: node gateway.mjs RAPPORT TOKEN REQUEST BOOKS');
  process.exit(2);
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return response.json();
}

const typeDefs = parse(await readFile(new URL('neighbour.graphql', import.meta.url), 'utf8'));
const { invoices, points } = JSON.parse(books);
const resolvers = {
  Query: { invoices: () => invoices },
  Customer: {
    __resolveReference: (reference) => reference,
    loyaltyPoints: ({ id, externalReference }) => points[id ?? externalReference] ?? 0,
  },
};
const neighbour = new ApolloServer({ schema: buildSubgraphSchema([{ typeDefs, resolvers }]) });
const { url: besides } = await startStandaloneServer(neighbour, { listen: { host: '127.0.0.1', port: 0 } });

// A router asks a subgraph itself what it offers.
const { data } = await post(rapport, { query: '{ _service { sdl } }' });
const { supergraphSdl, errors, hints } = composeServices([
  { name: 'rapport', url: rapport, typeDefs: parse(data._service.sdl) },
  { name: 'neighbour', url: besides, typeDefs },
]);
if (errors) {
  console.error(errors.map((error) => error.message).join('\n'));
  process.exit(1);
}

const sent = { rapport: 0, neighbour: 0 };
class Subgraph extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    sent[this.name] += 1;
    if (context.authorization) request.http.headers.set('authorization', context.authorization);
  }
}
const gateway = new ApolloGateway({
  supergraphSdl,
  buildService: ({ name, url }) => Object.assign(new Subgraph({ url }), { name }),
});
const server = new ApolloServer({ gateway });
const { url } = await startStandaloneServer(server, {
  listen: { host: '127.0.0.1', port: 0 },
  context: async ({ req }) => ({ authorization: req.headers.authorization }),
});
const answer = await post(url, request, { authorization: `Bearer ${token}` });

console.log(JSON.stringify({ answer, sent, hints: hints.map((hint) => hint.message) }));
await Promise.all([server.stop(), neighbour.stop()]);
