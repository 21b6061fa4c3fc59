// What a schema says, for people: its type in a few words, its rules, and its members.

import { element, spans } from './element.js';

const DEEPEST = 5;

const RULES = {
  minimum: (value) => `≥ ${value}`,
  maximum: (value) => `≤ ${value}`,
  exclusiveMinimum: (value) => `> ${value}`,
  exclusiveMaximum: (value) => `< ${value}`,
  minLength: (value) => `${value} or more characters`,
  maxLength: (value) => `up to ${value} characters`,
  minItems: (value) => `${value} or more`,
  maxItems: (value) => `up to ${value}`,
  pattern: (value) => `like ${value}`,
  default: (value) => `default ${JSON.stringify(value)}`,
};

/** Returns what a reference in the description stands for, and anything else as it is. */
export function resolve(description, part) {
  if (!part?.$ref) return part ?? {};
  const { $ref, ...rest } = part;
  const steps = $ref.slice(2).split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { ...steps.reduce((found, step) => found[step], description), ...rest };
}

/** Returns a schema's type in a few words. */
export function typeOf(description, schema) {
  const name = schema?.$ref?.split('/').pop();
  const found = resolve(description, schema);
  if ('const' in found) return JSON.stringify(found.const);
  if (found.enum) return found.enum.join(' | ');
  const several = found.anyOf ?? found.oneOf;
  if (several && !found.properties) {
    const types = several.map((one) => typeOf(description, found.type && !one.$ref ? { type: found.type, ...one } : one));
    return [...new Set(types)].join(' or ');
  }
  if (found.type === 'array') return `list of ${typeOf(description, found.items ?? {})}`;
  if (name) return name;
  return found.format ? `${found.type ?? 'string'} (${found.format})` : [found.type ?? 'any'].flat().join(' or ');
}

/** Returns the rules of a schema beside its type, in words. */
export function rulesOf(description, schema) {
  const found = resolve(description, schema);
  return Object.entries(RULES).filter(([key]) => key in found && found[key] !== null).map(([key, say]) => say(found[key])).join(', ');
}

/** Returns the members of an object, or of a list's items, as a list that can be opened further; null where there are none. */
export function members(description, schema, depth = 0) {
  const found = resolve(description, schema);
  if (depth > DEEPEST) return null;
  if (found.type === 'array') return members(description, found.items ?? {}, depth + 1);
  const several = (found.anyOf ?? found.oneOf ?? []).filter((one) => resolve(description, one).properties);
  if (!found.properties) return several.length ? element('div', {}, several.map((one) => members(description, one, depth + 1))) : null;
  const rows = Object.entries(found.properties).map(([name, member]) => {
    const required = (found.required ?? []).includes(name);
    return row(description, name, member, required, depth);
  });
  return element('ul', { class: 'members' }, rows);
}

/** Returns a member, a header or a parameter and its place: name, type, rules, description, and what is inside. */
export function row(description, name, schema, required, depth = 0, text = undefined, place = '') {
  const inside = members(description, schema, depth + 1);
  const about = text ?? resolve(description, schema).description;
  return element(
    'li', {},
    element('code', { class: 'name' }, name),
    place ? element('span', { class: 'place' }, place) : null,
    element('span', { class: 'type' }, typeOf(description, schema)),
    required ? null : element('span', { class: 'optional' }, 'optional'),
    element('span', { class: 'rules' }, rulesOf(description, schema)),
    about ? element('div', { class: 'about' }, ...spans(about)) : null,
    inside ? element('details', {}, element('summary', {}, 'members'), inside) : null,
  );
}
