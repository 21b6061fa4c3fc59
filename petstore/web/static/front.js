// The front page: three live streams, each an EventSource, which comes back by itself where it was cut.

import { element } from './element.js';

const SHOWN = 12;
const RUN = 'petstore.run';

recommend(document.querySelector('#recommendations'));
chat(document.querySelector('#chat'));
watchInventory(document.querySelector('#inventory ul'));

/**
 * Follows a stream: calls what `on` has for each type of event with its data, and `on.end` when nothing more comes, with the type of the
 * last event: `complete`, `error`, or null where the stream was refused.
 */
function follow(url, on) {
  const source = new EventSource(url);
  for (const type of Object.keys(on).filter((type) => type !== 'end')) {
    source.addEventListener(type, (event) => {
      if (type !== 'error') on[type](JSON.parse(event.data));
      // The stream's own `error` has data; the browser's, that it lost the connection, has none.
      else if (event.data) on.error(JSON.parse(event.data));
      if (type === 'complete' || (type === 'error' && (event.data || source.readyState === EventSource.CLOSED))) {
        source.close();
        on.end?.(event.data ? type : null);
      }
    });
  }
  return source;
}

/** Returns what shows a `progress` event as a bar in this section, and hides it when there is none. */
function progressIn(section) {
  const label = section.querySelector('.progress');
  return (progress) => {
    label.hidden = !progress;
    if (!progress) return;
    const { done, total, phase } = progress;
    const bar = label.querySelector('progress');
    if (total) Object.assign(bar, { max: total, value: done });
    else bar.removeAttribute('value');
    label.querySelector('span').textContent = total ? `${phase}: ${done} of ${total}` : `${phase}: ${done}`;
  };
}

function recommend(section) {
  const [customer, list, state] = ['select', '.pets', '.state'].map((wanted) => section.querySelector(wanted));
  const show = progressIn(section);
  let source = null;
  const begin = () => {
    source?.close();
    list.replaceChildren();
    state.textContent = 'Looking …';
    show(null);
    source = follow(`/v1/pets/recommendations/stream?userId=${encodeURIComponent(customer.value)}`, {
      gap: () => list.replaceChildren(),
      progress: (progress) => [show(progress), (state.textContent = '')],
      recommendation: (pick) => {
        if (!section.querySelector('.progress').hidden) show({ done: list.children.length + 1, total: 10, phase: 'choosing' });
        list.append(card(pick));
      },
      complete: ({ total, processingTime, engine, reason }) => {
        const by = engine === 'model' ? 'a language model' : "the shop's own recommender";
        state.textContent = reason ? `Stopped: ${reason}.` : `${total} pets in ${processingTime} ms, by ${by}.`;
      },
      error: () => (state.textContent = 'The recommendations could not be finished. Choose a customer to try again.'),
      end: (last) => {
        show(null);
        if (!last && !list.children.length) state.textContent = 'Refused: only the demo shows recommendations without a token.';
      },
    });
  };
  customer.addEventListener('change', begin);
  begin();
}

function card({ name, score, reason }) {
  const worth = element('meter', { min: 0, max: 1, value: score, title: `${Math.round(score * 100)} %` });
  return element('li', {}, element('strong', {}, name, worth), element('p', {}, reason));
}

function chat(section) {
  const [talk, form, stop] = ['.talk', 'form', '[type=button]'].map((wanted) => section.querySelector(wanted));
  const [show, ask] = [progressIn(section), form.querySelector('button')];
  const said = [];
  ask.disabled = false; // Some browsers keep that over a reload.
  let run = JSON.parse(sessionStorage.getItem(RUN));
  const say = (role, text) => {
    const line = element('p', { class: role === 'user' ? 'mine' : null }, text);
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
    const { status } = await fetch(run.self).catch(() => ({}));
    if (![401, 404].includes(status)) return fail('Reload the page to see the rest.');
    sessionStorage.removeItem(RUN);
    fail('The answer is gone. Ask again.');
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (ask.disabled) return;
    const asked = { role: 'user', content: form.question.value };
    // Where the page didn't come over TLS, nor from this machine, the browser makes no UUIDs.
    const key = crypto.randomUUID ? { 'Idempotency-Key': crypto.randomUUID() } : {};
    const headers = { 'Content-Type': 'application/json', ...key };
    const body = JSON.stringify({ kind: 'CHAT', messages: [...said, asked].slice(-20) });
    ask.disabled = true;
    const [ok, started] = await fetch('/v1/runs', { method: 'POST', headers, body })
      .then(async (answer) => [answer.ok, await answer.json()])
      .catch(() => [false, { detail: 'The shop did not answer. Ask again.' }]);
    if (!ok) {
      ask.disabled = false;
      say('assistant', started.detail).classList.add('failed');
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

/** Returns the parts of a text in which [Buddy](/v1/pets/…) is a link. Other addresses than our pets' stay text. */
function withLinks(text) {
  return text.split(/(\[[^\]]*\]\(\/v1\/pets\/[^)\s]*\))/).map((part) => {
    const [, name, href] = part.match(/^\[([^\]]*)\]\((.*)\)$/) ?? [];
    return href?.startsWith('/v1/pets/') ? element('a', { href }, name) : part;
  });
}

async function watchInventory(list) {
  const names = {};
  const snapshot = await (await fetch('/v1/inventory?limit=100')).json();
  for (const pet of snapshot.data) names[pet.petId] = pet.name;
  const tell = (petId, text) => {
    list.prepend(element('li', {}, element('span', {}, names[petId] ?? 'A pet'), text));
    while (list.children.length > SHOWN) list.lastChild.remove();
  };
  follow(`/v1/inventory/stream?lastEventId=${snapshot.lastEventId}`, {
    'stock-change': ({ petId, oldStock, newStock }) => tell(petId, `${oldStock} → ${newStock} in stock`),
    'price-change': ({ petId, oldPrice, newPrice }) => tell(petId, `$${oldPrice.toFixed(2)} → $${newPrice.toFixed(2)}`),
  });
}
