// Run before the page is drawn, so that it never flashes in the other colours.
(() => {
  const chosen = (() => {
    try {
      return localStorage.getItem('alphagrad-theme');
    } catch {
      return null;
    }
  })();
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
})();
