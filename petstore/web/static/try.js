// Sends what an operation describes, and shows what comes back; a stream's events one by one, as they come.

import { code, element } from './element.js';
import { resolve } from './schema.js';

const SHOWN = 50;
const TOKEN = 'petstore.token';

/** Returns a form that sends this operation. */
export function tryIt(description, path, method, operation) {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve(description, parameter));
  const fields = parameters.map((parameter) => field(parameter));
  const kinds = Object.entries(operation.requestBody?.content ?? {});
  const body = kinds.length && !kinds[0][0].startsWith('multipart/') ? bodyField(kinds[0][1].example) : null;
  const output = element('div', { class: 'output', 'aria-live': 'polite' });
  const line = element('div', {});
  let going = null;
  const stop = element('button', { type: 'button', hidden: true, onclick: () => going?.abort() }, 'Stop');
  const request = () => build(path, method, fields, body, kinds[0]?.[0]);
  const tell = () => line.replaceChildren(code(curl(request())));
  const send = async (event) => {
    event.preventDefault();
    going?.abort();
    const mine = (going = new AbortController());
    stop.hidden = false;
    output.replaceChildren();
    try {
      await exchange(request(), mine.signal, output);
    } catch (error) {
      if (!mine.signal.aborted) output.append(element('p', { class: 'failed' }, String(error)));
    }
    if (going === mine) stop.hidden = true;
  };
  const form = element('form', { onsubmit: send, oninput: tell }, fields, body, element('p', {}, element('button', {}, 'Send'), ' ', stop));
  tell();
  return element('details', { class: 'try' }, element('summary', {}, 'Try it'), form, line, output);
}

/** Returns the field for a bearer token, which every form sends. It's kept for as long as the tab is open. */
export function tokenField() {
  const input = element('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', value: token() });
  input.addEventListener('input', () => sessionStorage.setItem(TOKEN, input.value.trim()));
  return element('label', { class: 'field' }, 'Bearer token, sent with every request from this page', input);
}

function token() {
  return sessionStorage.getItem(TOKEN) ?? '';
}

function field(parameter) {
  const values = parameter.schema?.enum;
  const given = parameter.required ? String(parameter.example ?? '') : '';
  const common = { name: parameter.name, 'data-in': parameter.in, required: parameter.required };
  const input = values
    ? element('select', common, parameter.required ? null : element('option', { value: '' }, ''), values.map((value) => element('option', {}, value)))
    : element('input', { ...common, value: given, placeholder: String(parameter.example ?? ''), autocomplete: 'off' });
  return element('label', { class: 'field' }, `${parameter.name} (${parameter.in})`, input);
}

function bodyField(example) {
  const input = element('textarea', { name: 'body', 'data-in': 'body', rows: 8, spellcheck: 'false' });
  input.value = JSON.stringify(example ?? {}, null, 2);
  return element('label', { class: 'field wide' }, 'Body', input);
}

function build(path, method, fields, body, kind) {
  const headers = {};
  const query = new URLSearchParams();
  for (const input of fields.map((label) => label.querySelector('input, select'))) {
    if (input.value === '') continue;
    if (input.dataset.in === 'path') path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === 'query') query.set(input.name, input.value);
    else if (input.dataset.in === 'header') headers[input.name] = input.value;
  }
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body) headers['Content-Type'] = kind;
  const search = query.size ? `?${query}` : '';
  return { url: location.origin + path + search, method: method.toUpperCase(), headers, body: body?.querySelector('textarea').value };
}

function curl({ url, method, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const shown = Object.entries(headers).map(([name, value]) => ` -H ${quote(`${name}: ${name === 'Authorization' ? 'Bearer …' : value}`)}`);
  return `curl -N${method === 'GET' ? '' : ` -X ${method}`} ${quote(url)}${shown.join('')}${body ? ` -d ${quote(body)}` : ''}`;
}

async function exchange({ url, method, headers, body }, signal, output) {
  const response = await fetch(url, { method, headers, body, signal });
  output.append(element('p', { class: response.ok ? 'done' : 'failed' }, `${response.status} ${response.statusText}`));
  if ((response.headers.get('Content-Type') ?? '').startsWith('text/event-stream')) await follow(response, output);
  else output.append(code(pretty(await response.text())));
}

async function follow(response, output) {
  const list = element('ol', { class: 'events' });
  output.append(list);
  let rest = '';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    // A frame may come in pieces: only what a blank line has ended is one.
    const frames = (rest + next.value).split(/\r?\n\r?\n/);
    rest = frames.pop();
    for (const frame of frames) list.append(element('li', {}, code(frame)));
    while (list.children.length > SHOWN) list.firstChild.remove();
  }
  output.append(element('p', { class: 'done' }, 'The stream has ended.'));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.slice(0, 20000);
  }
}
