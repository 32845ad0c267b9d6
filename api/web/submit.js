/**
 * The form for a new study.
 * @module
 */

import { ApiError, hasKey, read, write } from './api.js';
import { toast, toastError } from './chrome.js';
import { byId, el, fill, path, say } from './dom.js';
import { field, showErrors } from './fields.js';
import { written } from './schema.js';
import { Options } from './spec_options.js';
import { Params } from './submit_params.js';
import { toToml } from './toml.js';

const ALPHA = { type: 'float', low: 1, high: 300, log: true };
const RATE = { type: 'float', low: 1e-5, high: 1e-2, log: true };
const GENERAL = { name: 'name', n_trials: 'trials', parallelism: 'at a time', seed: 'seed', direction: 'direction' };
const MORE = {
  engine: 'engine', priority: 'priority', retries: 'retries of a failed trial', retry_delay: 'seconds before a retry', trial_timeout: 'seconds an attempt may take',
  timeout: 'seconds in which trials may start', max_failed_trials: 'failed trials that end the study', stack: 'trials in one process',
  directions: 'directions, of several objectives', constraints: 'constraints', warm_start: 'studies to start from', enqueue: 'enqueued parameters', population: 'population', resources: 'resources',
};
const WORDS = {
  seed: 'drawn where it is left empty', directions: 'a list, e.g. ["maximize", "minimize"]', constraints: 'a list of names',
  warm_start: 'a list of names', enqueue: 'a list of objects', population: 'an object: see docs/population.md', resources: 'an object: {"cpu": 1, "gpu": 0}',
};
/** Not said again where a study is cloned. @type {Record<string, any>} */
const DEFAULTS = { engine: 'optuna', priority: 0, retries: 0, retry_delay: 0, stack: 1, resources: { cpu: 1, gpu: 0 } };
const form = /** @type {HTMLFormElement} */ (byId('form'));
const verdict = byId('verdict');
/** @type {Record<string, import('./fields.js').Field>} */
const fields = {};
/** @type {any[]} */
let tasks = [];
/** @type {Options} */
let sampler;
/** @type {Options} */
let pruner;
const params = new Params(byId('params'), changed);
const task = el('select', { id: 'task', data: { field: 'task' }, on: { change: () => { choose(); changed(); } } });

/** Start with what such a task is usually tuned by. */
function choose() {
  const found = tasks.find((one) => one.name === task.value);
  const schema = found?.params?.properties ? found.params : { properties: {} };
  const start = { ...(schema.properties.alpha && { alpha: ALPHA }), ...(schema.properties.learning_rate && { learning_rate: RATE }) };
  params.reset(schema, start);
}

function spec() {
  const given = Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.read()]).filter(([, value]) => value !== undefined));
  const { name, n_trials, parallelism, seed, direction, ...more } = given;
  const first = Object.fromEntries(Object.entries({ name, task: task.value, n_trials, parallelism, seed, direction }).filter(([, v]) => v !== undefined && v !== ''));
  const [s, p] = [sampler.read(), pruner.read()];
  return { ...first, ...more, sampler: s, ...(p.type !== 'none' && { pruner: p }), params: params.read() };
}

let timer = 0;
let touched = false;

function changed() {
  touched = true;
  showPreview();
  window.clearTimeout(timer);
  timer = window.setTimeout(check, 500);
}

function showPreview() {
  const language = new FormData(form).get('language');
  const now = spec();
  say(byId('preview'), language === 'json' ? JSON.stringify(now, null, 2) : toToml(now));
  const searched = Object.values(now.params).filter((v) => v !== null && typeof v === 'object' && 'type' in v).length;
  say(byId('params-count'), `${searched} searched, ${Object.keys(now.params).length - searched} fixed`);
  fill(byId('known'), ...params.addable.map((name) => el('option', { value: name }, (params.schema.properties[name].description || '').slice(0, 90))));
}

let round = 0;

/** Ask the server what it would say; only where that takes no question for a key. */
async function check() {
  if (!hasKey() || !touched) return;
  const mine = ++round;
  try {
    const { errors, warnings } = await write('POST', '/v1/studies:check', spec());
    if (mine === round) judge(errors, warnings);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === round && error.status) judge(error.errors.length ? error.errors : [{ field: '', value: null, message: error.message }], []);
  }
}

/** @param {{field: string, value: any, message: string}[]} errors @param {string[]} warnings */
function judge(errors, warnings) {
  const rest = showErrors(form, errors);
  fill(verdict,
    errors.length ? el('p', { class: 'bad' }, errors.length === 1 ? 'One thing is not right yet.' : `${errors.length} things are not right yet.`) : el('p', { class: 'good' }, '✓ the server would take this'),
    ...rest.map((error) => el('p', { class: 'bad small' }, error.field ? `${error.field}: ${error.message}` : error.message)),
    ...warnings.map((warning) => el('p', { class: 'notice small' }, warning)));
}

async function submit() {
  const button = /** @type {HTMLButtonElement} */ (byId('submit'));
  button.disabled = true;
  try {
    const study = await write('POST', '/v1/studies', spec());
    // Said on the page that comes next.
    if (study.warnings.length) sessionStorage.setItem('alphagrad-warnings', study.warnings.join('\n'));
    location.assign(path`/studies/${study.name}`);
  } catch (error) {
    button.disabled = false;
    if (!(error instanceof ApiError)) throw error;
    if (error.errors.length) judge(error.errors, []);
    else toastError(error);
    /** @type {HTMLElement | null} */ (form.querySelector('[aria-invalid="true"]'))?.focus();
  }
}

/** @param {Record<string, any>} schemas */
function build(schemas) {
  const of = schemas.StudySpec.properties;
  const make = (/** @type {string} */ name, /** @type {string} */ label, value = undefined) => {
    fields[name] = field(name, label, of[name], { defs: schemas, help: /** @type {any} */ (WORDS)[name], value });
    return fields[name].place;
  };
  task.append(...tasks.map((one) => el('option', { value: one.name }, one.name)));
  if (tasks.some((one) => one.name === 'digits')) task.value = 'digits'; // half a second a trial: good to begin with
  const stamp = new Date().toISOString().slice(5, 16).replace(/[-:]/g, '').replace('T', '-');
  const first = { n_trials: 20, parallelism: 2, direction: 'maximize' };
  const general = Object.entries(GENERAL).map(([name, label]) => make(name, label, /** @type {any} */ (first)[name]));
  fill(byId('general'), el('div', { class: 'field' }, el('label', { for: 'task' }, 'task'), task, el('p', { class: 'error', role: 'alert' })), ...general);
  fill(byId('more'), ...Object.entries(MORE).map(([name, label]) => make(name, label)));
  sampler = new Options(byId('sampler'), 'sampler', schemas, 'tpe', changed);
  pruner = new Options(byId('pruner'), 'pruner', schemas, 'none', changed);
  fields.name.set(`study-${stamp}`);
}

/** Fill the form from a study that is there. */
async function like(/** @type {string} */ name) {
  const { spec: given } = await read(path`/v1/studies/${name}`);
  const known = tasks.some((one) => one.name === given.task);
  // Of engine remote: a task that only its clients know, or none.
  if (!known) task.append(el('option', { value: given.task ?? '' }, given.task ?? 'none'));
  task.value = given.task ?? '';
  choose();
  params.reset(params.schema, given.params);
  for (const [key, one] of Object.entries(fields)) {
    const value = given[key];
    const empty = value === null || value === undefined || (Array.isArray(value) && !value.length);
    if (key !== 'seed') one.set(empty || written(value) === written(DEFAULTS[key]) ? undefined : value);
  }
  fields.name.set(`${name}-2`.slice(0, 100));
  sampler.show(given.sampler);
  pruner.show(given.pruner);
}

async function start() {
  const [openapi, found] = await Promise.all([read('/openapi.json'), read('/v1/tasks').then((page) => page.items)]);
  tasks = found;
  build(openapi.components.schemas);
  choose();
  const model = new URLSearchParams(location.search).get('like');
  if (model) await like(model);
  showPreview();
  form.addEventListener('input', changed);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit().catch(toastError);
  });
  const add = /** @type {HTMLInputElement} */ (byId('add'));
  const adding = () => {
    const param = params.add(add.value.trim());
    add.value = '';
    changed();
    /** @type {HTMLElement | undefined | null} */ (param?.place.querySelector('.param-inputs input, .param-inputs select'))?.focus();
  };
  byId('add-button').addEventListener('click', adding);
  add.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    adding();
  });
  byId('copy').addEventListener('click', async () => {
    await navigator.clipboard?.writeText(byId('preview').textContent || '');
    toast('Copied.');
  });
  byId('form').dataset.ready = '';
}

start().catch(toastError);
