// What graphql-codegen is asked for: which file by which plugins, with which options. In a project of your own the same
// stands under `generates` and `config` of codegen.ts.

export const generates = {
  // All types of the schema, for code that passes records on.
  'schema.ts': ['typescript'],
  // The types of the operations, and the operations themselves with their types.
  'operations.ts': ['typescript-operations', 'typed-document-node'],
};

export const config = {
  // Scalars travel as JSON strings; JSON is whatever it holds.
  scalars: {
    CurrencyCode: 'string',
    Date: 'string',
    DateTime: 'string',
    Decimal: 'string',
    EmailAddress: 'string',
    JSON: 'unknown',
    PhoneNumber: 'string',
    URL: 'string',
  },
  strictScalars: true,
  enumType: 'string-literal',
  useTypeImports: true,
};
