// In the Optuna dashboard: a way back to our page of the study that is shown.
const link = document.createElement('a');
link.textContent = '← AlphaGrad';
link.title = "AlphaGrad's own page";
Object.assign(link.style, {
  position: 'fixed', left: '12px', bottom: '12px', zIndex: '2000', padding: '6px 12px', borderRadius: '8px',
  background: '#12384a', color: '#fff', font: '14px system-ui, sans-serif', textDecoration: 'none',
});

function aim() {
  const study = /\/dashboard\/studies\/(\d+)/.exec(location.pathname);
  link.href = study ? `/optuna/${study[1]}` : '/';
}
// The dashboard changes its path without loading anew.
link.addEventListener('pointerenter', aim);
link.addEventListener('focus', aim);
link.addEventListener('click', aim);
aim();
document.body.append(link);
