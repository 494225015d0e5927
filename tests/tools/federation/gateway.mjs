// Rapport in a federation: starts its neighbours, composes all subgraphs with Apollo's composition, starts Apollo's
// gateway before them, sends it one query, and prints what came back.
//
// node gateway.mjs RAPPORT TOKEN REQUEST KNOWN
//
// RAPPORT is the address of Rapport's endpoint, TOKEN the caller's access token, which the gateway passes on, REQUEST a
// GraphQL request as JSON, and KNOWN what the neighbours know, as JSON: `points` by a customer's id, and `invoices`.

import { readFile } from 'node:fs/promises';

import { composeServices } from '@apollo/composition';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';

const [rapport, token, request, known] = process.argv.slice(2);
if (!known) {
  console.error('usage: node gateway.mjs RAPPORT TOKEN REQUEST KNOWN');
  process.exit(2);
}
const { points, invoices } = JSON.parse(known);

// The standard output is for the result.
const logger = { debug() {}, info() {}, warn: console.warn, error: console.error };
const listen = { host: '127.0.0.1', port: 0 };
const running = [];

async function start(server, context) {
  running.push(server);
  return (await startStandaloneServer(server, { listen, context })).url;
}

async function neighbour(name, resolvers) {
  const typeDefs = parse(await readFile(new URL(`${name}.graphql`, import.meta.url), 'utf8'));
  const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);
  return { name, typeDefs, url: await start(new ApolloServer({ schema, logger })) };
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return response.json();
}

const neighbours = await Promise.all([
  neighbour('loyalty', {
    Query: { members: () => Object.keys(points).map((id) => ({ id })) },
    Customer: {
      __resolveReference: ({ id }) => ({ id }),
      loyaltyPoints: ({ id }) => points[id] ?? 0,
    },
  }),
  neighbour('books', { Query: { invoices: () => invoices } }),
]);

// A router asks a subgraph itself what it offers.
const { data } = await post(rapport, { query: '{ _service { sdl } }' });
const { supergraphSdl, errors, hints } = composeServices([
  { name: 'rapport', url: rapport, typeDefs: parse(data._service.sdl) },
  ...neighbours,
]);
if (errors) {
  console.error(errors.map((error) => error.message).join('\n'));
  process.exit(1);
}

// How often each subgraph is asked.
const asked = { rapport: 0, loyalty: 0, books: 0 };

class Subgraph extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    asked[this.name] += 1;
    if (context.authorization) request.http.headers.set('authorization', context.authorization);
  }
}

const gateway = new ApolloGateway({
  supergraphSdl,
  logger,
  buildService: ({ name, url }) => Object.assign(new Subgraph({ url }), { name }),
});
const url = await start(new ApolloServer({ gateway, logger }), async ({ req }) => ({
  authorization: req.headers.authorization,
}));
const answer = await post(url, JSON.parse(request), { authorization: `Bearer ${token}` });

console.log(JSON.stringify({ answer, asked, hints: hints.map((hint) => hint.message) }));
await Promise.all(running.map((server) => server.stop()));
