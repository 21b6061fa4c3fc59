// The chat: each question starts a run, whose stream is the answer.

import { element } from './element.js';
import { follow } from './follow.js';
import { progressIn } from './progress.js';

const RUN = 'petstore.run';

// Of a conversation, as it is sent. The server takes 32,000 characters; one that has grown beyond them would be refused for good.
const MOST_MESSAGES = 20;
const MOST_CHARACTERS = 30_000;

export function chat(section) {
  const [talk, form, stop] = ['.talk', 'form', '[type=button]'].map((wanted) => section.querySelector(wanted));
  const [show, ask] = [progressIn(section), form.querySelector('button')];
  const said = [];
  ask.disabled = false; // Some browsers keep that over a reload.
  let run = JSON.parse(sessionStorage.getItem(RUN));
  const say = (role, text) => {
    const mine = role === 'user';
    const line = element('p', { class: mine ? 'mine' : null }, mine ? text : withLinks(text));
    talk.append(line);
    talk.scrollTop = talk.scrollHeight;
    return line;
  };
  // The run is kept for as long as the tab: a reload of the page joins it, and nothing is generated twice.
  const listen = () => {
    run.asked.forEach(({ role, content }) => said.push({ role, content }) && say(role, content));
    const line = say('assistant', '');
    const fail = (why) => line.append(element('span', { class: 'failed' }, ` ${why}`));
    [stop.hidden, ask.disabled] = [false, true];
    follow(run.stream, {
      gap: () => line.replaceChildren(),
      delta: ({ content }) => (line.append(content), (talk.scrollTop = talk.scrollHeight)),
      progress: show,
      complete: ({ reason }) => {
        if (reason) return fail(`Stopped: ${reason}.`);
        said.push({ role: 'assistant', content: line.textContent });
        line.replaceChildren(...withLinks(line.textContent));
      },
      error: () => fail('The answer was cut off. Ask again.'),
      end: (last) => {
        show(null);
        [stop.hidden, ask.disabled] = [true, false];
        if (!last) lost(fail);
      },
    });
  };
  // The stream was refused: because nothing is left of the run, or for a while.
  const lost = async (fail) => {
    const mine = run;
    const { status } = await fetch(mine.self).catch(() => ({}));
    if (![401, 404].includes(status)) return fail('Reload the page to see the rest.');
    if (run === mine) sessionStorage.removeItem(RUN); // Else the next question was asked meanwhile.
    fail('The answer is gone. Ask again.');
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (ask.disabled) return;
    const asked = { role: 'user', content: form.question.value };
    // Where the page didn't come over TLS, nor from this machine, the browser makes no UUIDs.
    const key = crypto.randomUUID ? { 'Idempotency-Key': crypto.randomUUID() } : {};
    const headers = { 'Content-Type': 'application/json', ...key };
    const body = JSON.stringify({ kind: 'CHAT', messages: newest([...said, asked]) });
    ask.disabled = true;
    const [ok, started] = await fetch('/v1/runs', { method: 'POST', headers, body })
      .then(async (answer) => [answer.ok, await answer.json()])
      .catch(() => [false, { title: 'The shop did not answer. Ask again.' }]);
    if (!ok) {
      ask.disabled = false;
      say('assistant', started.detail ?? started.title).classList.add('failed');
      return;
    }
    form.reset();
    run = { asked: [asked], self: started.links.self, stream: started.links.stream };
    sessionStorage.setItem(RUN, JSON.stringify({ ...run, asked: [...said, asked] }));
    listen();
  });
  stop.addEventListener('click', () => fetch(run.self, { method: 'DELETE' }));
  if (run) listen();
}

/** Returns the end of a conversation, as much of it as the shop takes, from a question on. The last question is always there. */
function newest(messages) {
  const kept = messages.slice(-MOST_MESSAGES);
  let characters = kept.reduce((sum, { content }) => sum + content.length, 0);
  while (kept.length > 1 && (characters > MOST_CHARACTERS || kept[0].role !== 'user')) characters -= kept.shift().content.length;
  return kept;
}

/** Returns the parts of a text in which [Buddy](/v1/pets/…) is a link. Other addresses than our pets' stay text. */
function withLinks(text) {
  return text.split(/(\[[^\]]*\]\(\/v1\/pets\/[^)\s]*\))/).map((part) => {
    const [, name, href] = part.match(/^\[([^\]]*)\]\((.*)\)$/) ?? [];
    return href?.startsWith('/v1/pets/') ? element('a', { href }, name) : part;
  });
}
