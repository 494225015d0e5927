// A client whose types graphql-codegen writes: reads a customer, plans an activity for it, and prints what came back.
//
// node main.js URL TOKEN CUSTOMER

import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';

import { ActivityCreateDocument, Customer360Document } from './operations.js';

const [url = '', token = '', id = ''] = process.argv.slice(2);

async function send<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data: Data; errors?: { message: string }[] };
  if (errors) throw new Error(errors.map((error) => error.message).join('\n'));
  return data;
}

const { customer360 } = await send(Customer360Document, { id });
const amounts = customer360?.metrics?.openPipelineValue ?? [];
const worth = amounts.map(({ amount, currency }) => `${amount} ${currency}`).join(', ');

const { activityCreate } = await send(ActivityCreateDocument, {
  input: { type: 'CALL', subject: `Call ${customer360?.customer?.name}`, relatedToId: id },
});
const about = activityCreate?.activity?.relatedTo;

console.log(
  JSON.stringify({
    customer: customer360?.customer?.name,
    contacts: customer360?.contacts?.nodes.map((contact) => contact.name),
    worth,
    planned: activityCreate?.activity?.subject,
    about: about && 'name' in about ? about.name : null,
    refused: activityCreate?.userErrors.map((error) => error.code),
  }),
);

// The types are those of the schema: these lines would not compile without the comments before them.
export const checked = () => {
  // @ts-expect-error a customer has no such field
  void customer360?.customer?.nickname;
  // @ts-expect-error an activity needs a subject
  void send(ActivityCreateDocument, { input: { type: 'CALL' } });
  // @ts-expect-error there is no such type of activity
  void send(ActivityCreateDocument, { input: { type: 'SWIM', subject: 'Lanes' } });
};
