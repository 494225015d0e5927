// Lints a schema with graphql-eslint and with graphql-schema-linter, by the options beside this file.
//
// node lint.mjs SCHEMA
//
// Says what was looked at, and ends with 0 only when neither finds anything.

import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';
import { parse } from 'graphql';

const path = process.argv[2];
if (!path) {
  console.error('usage: node lint.mjs SCHEMA');
  process.exit(2);
}
const here = fileURLToPath(new URL('.', import.meta.url));
const schema = await readFile(path, 'utf8');

const eslint = new ESLint({
  cwd: here,
  overrideConfigFile: `${here}eslint.config.mjs`,
  // Which schema the names in the file belong to: itself.
  overrideConfig: { languageOptions: { parserOptions: { graphQLConfig: { schema: path } } } },
});
const options = await eslint.calculateConfigForFile('schema.graphql');
const rules = Object.values(options.rules).filter(([severity]) => severity === 2).length;
const [{ messages }] = await eslint.lintText(schema, { filePath: 'schema.graphql' });
for (const { line, ruleId, message } of messages) {
  console.error(`${line} ${ruleId}: ${message}`);
}

const linter = fileURLToPath(new URL('../node_modules/graphql-schema-linter/lib/cli.js', import.meta.url));
const linted = spawnSync(process.execPath, [linter, '--config-directory', here, '--format', 'json', path], {
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
if (linted.status === 2 || linted.stderr) {
  console.error(linted.stdout, linted.stderr);
  process.exit(2);
}
const { errors } = JSON.parse(linted.stdout);
for (const { location, rule, message } of errors) {
  console.error(`${location.line} ${rule}: ${message}`);
}

const { definitions } = parse(schema);
console.log(
  `${definitions.length} definitions: ${messages.length} findings by ${rules} rules of graphql-eslint, ` +
    `${errors.length} by graphql-schema-linter`,
);
process.exit(messages.length + errors.length === 0 ? 0 : 1);
