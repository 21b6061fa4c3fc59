// Sends what an operation describes, and shows what comes back; a stream's events one by one, as they come.

import { code, element } from './element.js';
import { resolve } from './schema.js';

const SHOWN = 50;
const TOKEN = 'petstore.token';

/** Returns a form that sends this operation. */
export function tryIt(description, path, method, operation) {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve(description, parameter));
  const fields = parameters.map((parameter) => field(parameter));
  const body = bodyOf(description, operation);
  const output = element('div', { class: 'output', 'aria-live': 'polite' });
  const line = element('div', {});
  let going = null;
  const stop = element('button', { type: 'button', hidden: true, onclick: () => going?.abort() }, 'Stop');
  const request = () => build(path, method, fields, body);
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
  const form = element('form', { onsubmit: send, oninput: tell }, fields, body?.fields, element('p', {}, element('button', {}, 'Send'), ' ', stop));
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

/** Returns the body of an operation: its fields, its headers, and what is sent of them, and told to curl; null where there is none. */
function bodyOf(description, operation) {
  const [kind, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (!kind) return null;
  return kind.startsWith('multipart/') ? formBody(description, content) : textBody(kind, content.example);
}

function textBody(kind, example) {
  const input = element('textarea', { name: 'body', 'data-in': 'body', rows: 8, spellcheck: 'false' });
  input.value = JSON.stringify(example ?? {}, null, 2);
  return {
    fields: [element('label', { class: 'field wide' }, 'Body', input)],
    headers: { 'Content-Type': kind },
    content: () => input.value,
    curl: () => (input.value ? [`-d ${quote(input.value)}`] : []),
  };
}

function formBody(description, { schema, encoding = {} }) {
  const { properties, required = [] } = resolve(description, schema);
  const inputs = Object.entries(properties).map(([name, member]) => {
    const type = member.format === 'binary' ? 'file' : 'text';
    return element('input', { name, type, accept: encoding[name]?.contentType, required: required.includes(name), autocomplete: 'off' });
  });
  const given = () => inputs.filter((input) => input.value).map((input) => [input.name, input.files?.[0] ?? input.value]);
  return {
    fields: inputs.map((input) => element('label', { class: 'field' }, `${input.name} (part of the form)`, input)),
    headers: {}, // The browser says the type: nobody else knows what it puts between the parts.
    content: () => given().reduce((form, [name, value]) => (form.append(name, value), form), new FormData()),
    curl: () => given().map(([name, value]) => {
      if (!(value instanceof File)) return `--form-string ${quote(`${name}=${value}`)}`;
      return `-F ${quote(`${name}=@"${value.name.replaceAll(/["\\]/g, '\\$&')}"`)}`;
    }),
  };
}

function build(path, method, fields, body) {
  const headers = {};
  const query = new URLSearchParams();
  for (const input of fields.map((label) => label.querySelector('input, select'))) {
    if (input.value === '') continue;
    if (input.dataset.in === 'path') path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === 'query') query.set(input.name, input.value);
    else if (input.dataset.in === 'header') headers[input.name] = input.value;
  }
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const search = query.size ? `?${query}` : '';
  return { url: location.origin + path + search, method: method.toUpperCase(), headers: { ...headers, ...body?.headers }, body };
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl({ url, method, headers, body }) {
  const shown = Object.entries(headers).map(([name, value]) => ` -H ${quote(`${name}: ${name === 'Authorization' ? 'Bearer …' : value}`)}`);
  return [`curl -N${method === 'GET' ? '' : ` -X ${method}`} ${quote(url)}${shown.join('')}`, ...(body?.curl() ?? [])].join(' ');
}

async function exchange({ url, method, headers, body }, signal, output) {
  const response = await fetch(url, { method, headers, body: body?.content(), signal });
  output.append(element('p', { class: response.ok ? 'done' : 'failed' }, `${response.status} ${response.statusText}`));
  const kind = response.headers.get('Content-Type') ?? '';
  if (kind.startsWith('text/event-stream')) await follow(response, output);
  else if (kind.startsWith('image/')) output.append(element('p', {}, `${(await response.blob()).size} bytes of ${kind}`));
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
