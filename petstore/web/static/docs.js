// The page: reads the OpenAPI document and shows its operations, with the events of streams.

import { code, element, prose, spans } from './element.js';
import { members, resolve, row, typeOf } from './schema.js';
import { tokenField, tryIt } from './try.js';

const METHODS = ['get', 'query', 'post', 'put', 'patch', 'delete'];
const main = document.querySelector('main');

show(document.querySelector('script[data-document]').dataset.document);

async function show(url) {
  try {
    const description = await (await fetch(url)).json();
    const groups = description.tags.map((tag) => [tag, operationsOf(description, tag.name)]);
    const sections = groups.map(([tag, operations]) => group(description, tag, operations));
    document.querySelector('nav').append(...groups.map(([tag, operations]) => menu(tag, operations)));
    main.replaceChildren(introduction(description), ...sections);
  } catch (error) {
    main.querySelector('.state').textContent = `The description could not be read or shown: ${error}`;
    throw error;
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function operationsOf(description, tag) {
  return Object.entries(description.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]?.tags.includes(tag)).map((method) => ({ path, method, operation: item[method] })),
  );
}

function menu(tag, operations) {
  const entries = operations.map(({ method, operation }) =>
    element('li', {}, element('a', { href: `#${operation.operationId}` }, badge(method), operation.summary)),
  );
  return element('section', {}, element('h2', {}, tag.name), element('ul', {}, entries));
}

function badge(method) {
  return element('span', { class: `method ${method}` }, method.toUpperCase());
}

function introduction(description) {
  const schemes = Object.entries(description.components.securitySchemes ?? {}).map(([name, scheme]) =>
    element('li', {}, element('code', { class: 'name' }, name), ...spans(scheme.description ?? scheme.type)),
  );
  return element(
    'section', { class: 'introduction' },
    ...prose(description.info.description),
    element('h2', {}, 'Who asks'), element('ul', { class: 'members' }, schemes), tokenField(),
  );
}

function group(description, tag, operations) {
  return element('section', {}, element('h2', {}, tag.name), ...prose(tag.description), operations.map((one) => article(description, one)));
}

function article(description, { path, method, operation }) {
  // What stands in the components is common to all, and would hide what this operation is about.
  const [common, own] = split(operation.parameters ?? [], (parameter) => parameter.$ref);
  const [problems, answers] = split(Object.entries(operation.responses), ([status]) => status >= '400');
  return element(
    'article', { id: operation.operationId },
    element('h3', {}, badge(method), element('code', {}, path)),
    element('p', { class: 'summary' }, operation.summary),
    ...prose(operation.description),
    element('p', { class: 'needs' }, needs(operation)),
    own.length ? part('Parameters', parameters(description, own)) : null,
    operation.requestBody ? part('Body', contents(description, operation.requestBody.content)) : null,
    part('Answers', element('ul', { class: 'answers' }, answers.map(([status, one]) => answer(description, status, one)))),
    folded(`problems: ${problems.map(([status]) => status).join(', ')}`,
      element('ul', { class: 'answers' }, problems.map(([status, one]) => answer(description, status, one)))),
    common.length ? folded('parameters of every operation', parameters(description, common)) : null,
    tryIt(description, path, method, operation),
  );
}

function split(list, belongs) {
  return [list.filter(belongs), list.filter((one) => !belongs(one))];
}

function folded(title, content) {
  return element('details', {}, element('summary', {}, title), content);
}

function parameters(description, list) {
  const rows = list.map((one) => resolve(description, one)).map((one) =>
    row(description, one.name, one.schema, one.required, 0, one.description ?? '', one.in));
  return element('ul', { class: 'members' }, rows);
}

function part(title, content) {
  return element('section', {}, element('h4', {}, title), content);
}

function needs(operation) {
  if (!operation.security?.length) return 'Open to everybody.';
  const ways = operation.security.map((way) => {
    const names = Object.entries(way).map(([name, scopes]) => `${name} ${scopes.join(' ')}`.trim());
    return names.length ? names.join(' and ') : 'nothing, as a guest';
  });
  return `Needs ${ways.join(', or ')}.`;
}

function answer(description, status, reference) {
  const response = resolve(description, reference);
  const headers = Object.entries(response.headers ?? {}).map(([name, one]) => {
    const header = resolve(description, one);
    return row(description, name, header.schema, header.required, 0, header.description);
  });
  const inside = [
    headers.length ? folded('headers', element('ul', { class: 'members' }, headers)) : null,
    response.content ? contents(description, response.content) : null,
  ];
  return element('li', {}, element('strong', { class: status < '400' ? 'done' : 'failed' }, status), ' ', ...spans(response.description), ...inside);
}

function contents(description, content) {
  return element('div', {}, Object.entries(content).map(([kind, one]) => {
    if (one.itemSchema) return events(description, one.itemSchema);
    const inside = members(description, one.schema);
    return element(
      'div', {},
      element('code', {}, kind), ' ', element('span', { class: 'type' }, typeOf(description, one.schema)),
      inside ? folded('members', inside) : null,
      one.example === undefined ? null : folded('example', code(one.example)),
    );
  }));
}

/** Returns the events of a stream that have a name of their own, or none by nature; what `events=unnamed` makes of them is not shown. */
function events(description, schema) {
  const shown = new Set();
  const items = variants(schema).filter((event) => {
    const { contentSchema, const: word } = event.properties.data;
    const key = contentSchema?.$ref ?? word;
    const again = shown.has(key) || key.includes('/Unnamed');
    shown.add(key);
    return !again;
  });
  return element('ul', { class: 'stream' }, items.map((event) => {
    const data = event.properties.data.contentSchema;
    const [example] = event.examples;
    return element(
      'li', {},
      element('code', { class: 'name' }, event.title === 'message' ? 'no name' : event.title),
      ...spans(resolve(description, data).description ?? ''),
      data ? folded('data', members(description, data)) : null,
      code(frame(example)),
    );
  }));
}

/** Returns what an event of a stream can be: one schema for each, or, where none has a name, one for each form of the data. */
function variants(schema) {
  if (schema.anyOf) return schema.anyOf;
  const forms = schema.properties.data.anyOf;
  return forms.map((data) => ({ title: 'message', properties: { data }, examples: [{ data: data.const ?? data.examples[0] }] }));
}

function frame(event) {
  const lines = event.event && event.event !== 'message' ? [`event: ${event.event}`] : [];
  return [...lines, `data: ${event.data}`, ...(event.id ? [`id: ${event.id}`] : [])].join('\n');
}
