// What happens to stock and prices, for as long as somebody looks at the page.

import { element } from './element.js';
import { busy, follow, patienceS } from './follow.js';

const SHOWN = 12;

// Whether the page was left: a browser may keep it, to go back to, and says so before the page counts as hidden.
let left = false;
window.addEventListener('pagehide', () => (left = true));
window.addEventListener('pageshow', () => (left = false));

/**
 * Shows each change of the inventory, again and again from where it was.
 *
 * A page that nobody sees gives its connection back: on HTTP/1.1 a browser opens six to a host, and the seventh tab would never load.
 */
export async function watchInventory(section) {
  const [list, state] = ['ul', '.state'].map((wanted) => section.querySelector(wanted));
  let [pets, after] = [{}, null];
  const tell = (id, petId, say) => {
    after = id;
    const pet = pets[petId] ?? { name: 'A pet' };
    list.prepend(element('li', {}, element('span', {}, pet.name), say(pet)));
    while (list.children.length > SHOWN) list.lastChild.remove();
  };
  // Both return in how many seconds to go on.
  const load = async () => {
    const answer = await fetch('/v1/inventory?limit=100').catch(() => null);
    const snapshot = answer?.ok ? await answer.json().catch(() => null) : null;
    if (!snapshot) return patienceS(answer);
    pets = Object.fromEntries(snapshot.data.map((pet) => [pet.petId, pet]));
    after = snapshot.lastEventId;
    return 0;
  };
  const listen = async () => {
    const over = new AbortController();
    let source = null;
    const seconds = await new Promise((resolve) => {
      source = follow(`/v1/inventory/stream?lastEventId=${after}`, {
        'stock-change': ({ petId, oldStock, newStock }, id) => tell(id, petId, () => `${oldStock} → ${newStock} in stock`),
        'price-change': ({ petId, oldPrice, newPrice }, id) =>
          tell(id, petId, ({ currency }) => `${money(oldPrice, currency)} → ${money(newPrice, currency)}`),
        gap: () => {
          source.close(); // What it would tell next is in the snapshot already.
          list.replaceChildren();
          after = null;
          resolve(0);
        },
        end: () => resolve(patienceS()),
      });
      when(() => !isSeen(), over).then(() => resolve(0));
    });
    over.abort();
    source.close();
    return seconds;
  };
  for (;;) {
    await when(isSeen);
    const seconds = await (after === null ? load() : listen());
    if (!seconds) continue;
    state.textContent = busy(seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    state.textContent = '';
  }
}

function isSeen() {
  return !document.hidden && !left;
}

/** Resolves as soon as that is true of the page, and aborts `over`; never, where that was aborted before. */
function when(isTrue, over = new AbortController()) {
  const { signal } = over;
  return new Promise((resolve) => {
    const look = () => {
      if (!isTrue()) return;
      over.abort();
      resolve();
    };
    document.addEventListener('visibilitychange', look, { signal });
    for (const type of ['pagehide', 'pageshow']) window.addEventListener(type, look, { signal });
    look();
  });
}

/** Returns a price; without its currency for a pet that wasn't in the snapshot, which alone tells it. */
function money(price, currency) {
  const format = currency ? { style: 'currency', currency } : {};
  return price.toLocaleString('en-US', { ...format, minimumFractionDigits: 2, maximumFractionDigits: 2 });
}
