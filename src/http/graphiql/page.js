// The page around GraphiQL: a fetcher for this server's own transports, and buttons for the logins of a demonstration.
'use strict';

const endpoint = '/graphql';
const configuration = JSON.parse(document.getElementById('configuration').textContent);

// Queries and mutations are single answers; subscriptions come as server-sent events over the same endpoint, so that the
// headers editor counts for them too.
async function* fetcher({ query, variables, operationName }, { headers } = {}) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9, text/event-stream;q=0.5',
      ...headers,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ query, variables, operationName }),
  });
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
    yield* events(response.body);
  } else {
    yield await response.json();
  }
}

// The data of the `next` events of a stream, until `complete`.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const lines = block.split('\n');
        const field = (name) =>
          lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart());
        if (field('event')[0] === 'complete') return;
        if (field('event')[0] === 'next') yield JSON.parse(field('data').join('\n'));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const root = ReactDOM.createRoot(document.getElementById('graphiql'));
const explorer = GraphiQLPluginExplorer.explorerPlugin();

function show(headers) {
  root.render(
    React.createElement(GraphiQL, {
      fetcher,
      headers,
      defaultQuery: configuration.firstQuery ?? undefined,
      isHeadersEditorEnabled: true,
      defaultEditorToolsVisibility: 'headers',
      shouldPersistHeaders: false,
      plugins: [explorer],
    }),
  );
}

const login = `mutation ($email: EmailAddress!, $password: String!, $tenant: String) {
  login(input: { email: $email, password: $password, tenant: $tenant }) { accessToken userErrors { message } }
}`;

async function logIn({ email, password, tenant }) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({ query: login, variables: { email, password, tenant } }),
  });
  const { data, errors } = await response.json();
  const token = data?.login?.accessToken;
  if (!token) {
    const problems = errors ?? data?.login?.userErrors ?? [];
    throw new Error(problems.map(({ message }) => message).join('; ') || 'no token came back');
  }
  return token;
}

function offerLogins() {
  const bar = document.getElementById('logins');
  const state = document.createElement('output');
  const buttons = configuration.logins.map((entry) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = entry.label;
    button.title = entry.tenant ? `${entry.email} at ${entry.tenant}` : entry.email;
    button.addEventListener('click', async () => {
      state.textContent = `logging in as ${entry.email}…`;
      try {
        const token = await logIn(entry);
        show(JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2));
        for (const other of buttons) other.setAttribute('aria-pressed', String(other === button));
        state.textContent = `logged in as ${entry.email}; the token is in the headers below`;
      } catch (error) {
        state.textContent = `could not log in as ${entry.email}: ${error.message}`;
      }
    });
    return button;
  });
  bar.append('Log in as', ...buttons, state);
  bar.hidden = buttons.length === 0;
}

show(undefined);
offerLogins();
