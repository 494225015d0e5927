// The rules of graphql-eslint for schemas: `schema-recommended` and `schema-relay`, each as its authors set it, but for
// what is changed below, with the reason.

import graphql from '@graphql-eslint/eslint-plugin';

/** Rules that are changed, and why. */
const changed = {
  // A list may hold other things than edges: `nodes` stands beside `edges` in every connection, so that a client that
  // needs no cursors is spared a level, and mutations answer `userErrors`, metrics one amount a currency.
  // An edge may lead to other things than nodes: an entry of a timeline is made from several records and is none itself,
  // and a tenant is not in the database that `node` reads.
  '@graphql-eslint/relay-edge-types': [
    'error',
    { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
  ],

  // The specification asks for one direction at least. The timeline and the list of tenants are read forward only.
  '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],

  // Only what can be asked for again has an id: records. The rest are parts of an answer, by their suffix, and values
  // without an identity of their own, by their name.
  '@graphql-eslint/strict-id-in-types': [
    'error',
    {
      acceptedIdNames: ['id'],
      acceptedIdTypes: ['ID'],
      exceptions: {
        suffixes: ['Connection', 'Edge', 'Payload', 'Result'],
        types: [
          'Address',
          'Money',
          'PageInfo',
          'UserError',
          'RecordChange', // an event, told once; its records have ids
          'NotificationReceived', // an event, told once; the notification has an id
          'NotificationPreference', // one of each kind, for each user
          'Cron', // a recurring job, by its name
          'JobCount',
          'JobThroughput', // of one hour
          'WebhookEvent', // by its name
          'WorkQueue', // one of each kind of work
          'EmailTemplate', // one of each name, for each tenant
          'EmailTemplateVariable',
          'Customer360', // a view of one customer, whose id it was asked with
          'CustomerHierarchy',
          'CustomerMetrics',
        ],
      },
    },
  ],
};

export default [
  {
    files: ['**/*.graphql'],
    languageOptions: { parser: graphql.parser },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      ...changed,
    },
  },
];
