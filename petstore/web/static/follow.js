// Streams: an EventSource, which comes back by itself where it was cut, and what is to be said and done where it was refused.

/**
 * Follows a stream: calls what `on` has for each type of event with its data and its id, and `on.end` when nothing more comes, with the
 * type of the last event: `complete`, `error`, or null where the stream was refused.
 */
export function follow(url, { end, error, ...told }) {
  const source = new EventSource(url);
  const finish = (last) => {
    source.close();
    end?.(last);
  };
  for (const [type, tell] of Object.entries(told)) {
    source.addEventListener(type, (event) => {
      tell(JSON.parse(event.data), event.lastEventId);
      if (type === 'complete') finish(type);
    });
  }
  source.addEventListener('error', (event) => {
    // The stream's own `error` has data; the browser's, that it lost the connection, has none.
    if (event.data) {
      error?.(JSON.parse(event.data));
      finish('error');
    } else if (source.readyState === EventSource.CLOSED) finish(null);
  });
  return source;
}

/** Returns in how many seconds to ask again after this answer, or after none: as it says, or soon, but not all pages at once. */
export function patienceS(answer = null) {
  return Number(answer?.headers.get('Retry-After')) || 5 + Math.round(5 * Math.random());
}

/** Returns what to say of a shop that will be asked again. */
export function busy(seconds) {
  return `The shop is busy or away: it is asked again in ${seconds} s.`;
}
