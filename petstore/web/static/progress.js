// How far a slow run is.

/** Returns what shows a `progress` event as a bar in this section, and hides it when there is none. */
export function progressIn(section) {
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
