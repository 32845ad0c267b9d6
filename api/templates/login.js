// The key stays with the tab, for writes: a cookie is good for reading alone.
sessionStorage.removeItem('alphagrad-key');
document.querySelector('form').addEventListener('submit', () => {
  sessionStorage.setItem('alphagrad-key', document.getElementById('key').value.trim());
});
