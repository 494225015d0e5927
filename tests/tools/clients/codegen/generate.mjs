// Runs the plugins of graphql-codegen as its command line does, without the parts of it that find and load files.
//
// node generate.mjs SCHEMA OPERATIONS FOLDER

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { codegen } from '@graphql-codegen/core';
import { parse } from 'graphql';

import { config, generates } from './options.mjs';

const [schema, operations, folder] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node generate.mjs SCHEMA OPERATIONS FOLDER');
  process.exit(2);
}

const document = parse(await readFile(operations, 'utf8'));
for (const [filename, plugins] of Object.entries(generates)) {
  const modules = plugins.map(async (name) => [name, await import(`@graphql-codegen/${name}`)]);
  const generated = await codegen({
    filename,
    schema: parse(await readFile(schema, 'utf8')),
    documents: [{ location: operations, document }],
    plugins: plugins.map((name) => ({ [name]: {} })),
    pluginMap: Object.fromEntries(await Promise.all(modules)),
    config,
  });
  await writeFile(join(folder, filename), generated);
}
