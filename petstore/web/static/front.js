// The front page: three live streams, the first of which is here.

import { chat } from './chat.js';
import { element } from './element.js';
import { busy, follow, patienceS } from './follow.js';
import { progressIn } from './progress.js';
import { watchInventory } from './stock.js';

recommend(document.querySelector('#recommendations'));
chat(document.querySelector('#chat'));
watchInventory(document.querySelector('#inventory'));

function recommend(section) {
  const [customer, list, state] = ['select', '.pets', '.state'].map((wanted) => section.querySelector(wanted));
  const show = progressIn(section);
  let [source, timer] = [null, null];
  /** Asks for all of them, or for those after the one with this id. */
  const begin = (after = null) => {
    source?.close();
    clearTimeout(timer);
    if (!after) list.replaceChildren();
    state.textContent = 'Looking …';
    show(null);
    const url = `/v1/pets/recommendations/stream?userId=${encodeURIComponent(customer.value)}`;
    let last = after;
    const mine = follow(after ? `${url}&lastEventId=${after}` : url, {
      gap: () => list.replaceChildren(),
      progress: (progress) => [show(progress), (state.textContent = '')],
      recommendation: (pick, id) => {
        last = id;
        if (!section.querySelector('.progress').hidden) show({ done: list.children.length + 1, total: 10, phase: 'choosing' });
        list.append(card(pick));
      },
      complete: ({ total, processingTime, engine, reason }) => {
        const by = engine === 'model' ? 'a language model' : "the shop's own recommender";
        state.textContent = reason ? `Stopped: ${reason}.` : `${total} pets in ${processingTime} ms, by ${by}.`;
      },
      error: () => (state.textContent = 'The recommendations could not be finished. Choose a customer to try again.'),
      end: async (type) => {
        show(null);
        if (type) return;
        // An EventSource doesn't say why it was refused. HEAD does, and begins nothing.
        const answer = await fetch(url, { method: 'HEAD' }).catch(() => null);
        if (source !== mine) return; // Another customer was chosen meanwhile.
        if ([401, 403].includes(answer?.status)) {
          state.textContent = 'Refused: only the demo shows recommendations without a token.';
          return;
        }
        const seconds = patienceS(answer);
        state.textContent = busy(seconds);
        timer = setTimeout(begin, 1000 * seconds, last);
      },
    });
    source = mine;
  };
  customer.addEventListener('change', () => begin());
  begin();
}

function card({ name, score, reason }) {
  const worth = element('meter', { min: 0, max: 1, value: score, title: `${Math.round(score * 100)} %` });
  return element('li', {}, element('strong', {}, name, worth), element('p', {}, reason));
}
