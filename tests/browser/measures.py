"""What axe-core is blind to, measured in the page itself: scripts that return a list of faults as sentences."""

# WCAG 1.4.11: the edge of a field or a button stands out by 3:1 from what lies beside it, or its filling does.
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.canvas.width = canvas.canvas.height = 1;
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = '#000'; canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => {
    const line = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
  };
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgba(getComputedStyle(at).backgroundColor);
      if (found[3] > 0.99) return found;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  };
  const told = [];
  const typed = 'input:not([type=hidden]):not([type=checkbox]):not([type=radio]), select, textarea';
  for (const one of document.querySelectorAll(`${typed}, button:not([disabled]):not(.as-link), a.button`)) {
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), around = behind(one.parentElement), inside = behind(one);
    const edged = parseFloat(style.borderTopWidth) > 0 && style.borderTopStyle !== 'none';
    const edge = edged ? rgba(style.borderTopColor) : inside;
    const best = Math.max(contrast(edge, around), contrast(inside, around));
    const name = (one.name || one.innerText || '').slice(0, 30);
    if (best < 3) told.push(`${one.tagName} "${name}" stands out by ${best.toFixed(2)} only`);
  }
  return told;
}"""

# WCAG 1.4.12: the spacing a reader may set.
SPACED_OUT = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
                         word-spacing: 0.16em !important; }
                     p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
CLIPPED = """() => {
  const told = [];
  for (const one of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (box.width < 8 || box.height < 8 || !one.innerText || !one.checkVisibility()) continue;
    const cut = (axis) => ['hidden', 'clip'].includes(style[`overflow${axis}`]);
    if ((cut('X') && one.scrollWidth > one.clientWidth + 1) || (cut('Y') && one.scrollHeight > one.clientHeight + 1))
      told.push(`${one.tagName}.${one.className}: ${one.innerText.slice(0, 40)}`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) told.push(`the page is ${wide} px wide`);
  return told;
}"""

# All that makes two buttons look alike.
LOOK = """(one) => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const names = ['color', 'backgroundColor', 'borderTopColor', 'borderTopWidth', 'borderTopStyle', 'borderRadius',
                 'fontFamily', 'fontSize', 'fontWeight', 'textTransform', 'opacity', 'boxShadow', 'cursor'];
  const look = Object.fromEntries(names.map((name) => [name, style[name]]));
  return {look, top: box.top, width: box.width, height: box.height};
}"""
